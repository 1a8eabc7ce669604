import fc from 'fast-check';
import t from 'tap';
import { parseResources, transportOf } from '../../../deploy/labgrid/place-resources.js';
import { parsePythonLiteral } from '../../../deploy/labgrid/python-literal.js';
import { expectError } from '../../codegen/checkpoint/expect-error.js';

/** As labgrid 26 prints it. */
const shown = `Place 'pi':
  matches:
    */pi/*
  acquired: host/user
Acquired resource 'NetworkService' (shelf/pi/NetworkService/NetworkService):
  {'acquired': 'pi',
   'avail': True,
   'cls': 'NetworkService',
   'params': {'address': '192.168.1.20',
              'extra': {'proxy': 'shelf.example', 'proxy_required': False},
              'port': 2222,
              'username': 'root'}}
Acquired resource 'serial' (shelf/pi/NetworkSerialPort/serial):
  {'acquired': 'pi',
   'avail': True,
   'cls': 'NetworkSerialPort',
   'params': {'extra': {}, 'host': 'shelf', 'port': 4001, 'speed': 115200}}
Orphaned resource 'x' (a/b/c/d)
`;

t.test('what a place exports, and the way to it', async (t) => {
  const [service, port] = parseResources(shown);
  t.match(service, { cls: 'NetworkService', available: true, params: { port: 2222 } });
  t.same(transportOf([port, service], { place: 'pi', identity: '/key' }), {
    kind: 'ssh',
    ssh: { identity: '/key', host: '192.168.1.20', port: 2222, user: 'root' },
  });
  t.same(transportOf([port], { place: 'pi', login: 'pi', prompt: '> ', coordinator: 'x:1' }), {
    kind: 'serial',
    serial: { port: 'rfc2217:shelf:4001', baud: 115200, login: 'pi', prompt: '> ' },
  });
  const raw = { ...port, params: { ...port.params, protocol: 'raw', host: '::1' } };
  t.match(transportOf([raw], { place: 'pi' }), { serial: { port: 'tcp:[::1]:4001' } });
  const behind = {
    ...service,
    params: { ...service.params, extra: { proxy: 'gate', proxy_required: true } },
  };
  t.match(transportOf([behind], { place: 'pi', user: 'me' }), { ssh: { jump: 'gate', user: 'me' } });
  t.match(transportOf([{ ...service, available: false }, port], { place: 'pi' }), { kind: 'serial' });
  expectError(t, 'EM4005', /but nothing/, () => transportOf([], { place: 'pi' }));
  expectError(t, 'EM4005', /NetworkService \(not available\)/, () =>
    transportOf([{ ...service, available: false }], { place: 'pi' }),
  );
  for (const address of [undefined, '', '-oProxyCommand=x', 'a b', 7]) {
    const odd = { ...service, params: { ...service.params, address } };
    expectError(t, 'EM4005', /its address/, () => transportOf([odd], { place: 'pi' }));
  }
  expectError(t, 'EM4005', /its port/, () =>
    transportOf([{ ...port, params: { ...port.params, port: 0 } }], { place: 'pi' }),
  );
});

t.test('values of Python', async (t) => {
  for (const [text, value] of [
    ["{'a': None, 'b': (1, 2.5, -3), 'c': [True, False]}", { a: null, b: [1, 2.5, -3], c: [true, false] }],
    [`"it's" 'a\\n\\'b' `, "it'sa\n'b"],
    ["('one '\n 'two')", 'one two'],
    ['{}', {}],
  ] as const) {
    t.same(parsePythonLiteral(text), value, text);
  }
  for (const text of ['', '{', "{'a' 1}", "'open", 'foo(1)', '1 2', '[1,', '['.repeat(100), "{'a': <X>}"]) {
    t.equal(parsePythonLiteral(text), undefined, text.slice(0, 20));
  }
  const quoted = (text: string) =>
    `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n')}'`;
  fc.assert(fc.property(fc.string(), (text) => parsePythonLiteral(quoted(text)) === text));
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...`{}[]()'":,\\ 1aN\n`) }), (text) => {
      parsePythonLiteral(text);
    }),
  );
});
