import { createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import { openNetworkPort, parseNetworkPort } from '../../../deploy/serial/network-port.js';
import { escapeTelnet, TelnetDecoder, telnetGreeting } from '../../../deploy/serial/telnet.js';
import { expectRejection } from '../../boards/expect-rejection.js';
import { freePort } from '../../boards/loopback-sshd.js';
import { expectError } from '../../codegen/checkpoint/expect-error.js';

const [IAC, SB, SE, WILL, DO, DONT, WONT] = [255, 250, 240, 251, 253, 254, 252];

t.test('names of ports', async (t) => {
  t.equal(parseNetworkPort('/dev/ttyUSB0'), null);
  t.same(parseNetworkPort('tcp:farm:4001'), { host: 'farm', port: 4001, telnet: false });
  t.same(parseNetworkPort('rfc2217://[::1]:1'), { host: '::1', port: 1, telnet: true });
  for (const name of ['tcp:', 'tcp:host', 'tcp:host:0', 'rfc2217:host:70000', 'tcp:a b:1', 'tcp:1:2:3']) {
    expectError(t, 'EM4003', /HOST:PORT/, () => parseNetworkPort(name));
  }
});

t.test('Telnet: data survives, commands are answered, wherever the stream is cut', async (t) => {
  const cut = (bytes: Buffer, at: readonly number[]) => {
    const places = [0, ...at.map((one) => one % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
    return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
  };
  fc.assert(
    fc.property(fc.uint8Array(), fc.array(fc.nat()), (data, at) => {
      const bytes = Buffer.from(data);
      const decoder = new TelnetDecoder(115200, () => {});
      return Buffer.concat(cut(escapeTelnet(bytes), at).map((piece) => decoder.push(piece))).equals(bytes);
    }),
  );
  const answers: Buffer[] = [];
  const decoder = new TelnetDecoder(115200, (bytes) => answers.push(bytes));
  const said = Buffer.from([
    65,
    IAC,
    DO,
    44,
    IAC,
    SB,
    44,
    101,
    255,
    255,
    IAC,
    SE,
    66,
    IAC,
    WILL,
    1,
    IAC,
    DO,
    24,
    IAC,
    241,
    67,
    IAC,
    DO,
    0,
    IAC,
    WONT,
    5,
  ]);
  t.equal(Buffer.concat([...said].map((byte) => decoder.push(Buffer.of(byte)))).toString(), 'ABC');
  const [line, ...others] = answers;
  t.same([...line.subarray(0, 10)], [IAC, SB, 44, 1, 0, 1, 0xc2, 0, IAC, SE], '115200 baud');
  t.same(others, [Buffer.of(IAC, DONT, 1), Buffer.of(IAC, WONT, 24)]);
});

t.test('a port behind a network', async (t) => {
  const heard: Buffer[] = [];
  let line: Socket | undefined;
  const server = createServer((socket) => {
    line = socket;
    socket.on('error', () => {});
    socket.on('data', (chunk) => heard.push(chunk));
    socket.write(Buffer.from([IAC, DO, 44, 104, 105]));
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  t.teardown(() => {
    line?.destroy();
    server.close();
  });
  const far = await openNetworkPort({ host: '127.0.0.1', port, telnet: true }, 9600);
  const data = new Promise<Buffer>((resolve) => far.on('data', resolve));
  await new Promise((resolve) => far.write(Buffer.of(1, 255, 2), resolve));
  t.equal((await data).toString(), 'hi');
  for (let tries = 0; tries < 100 && Buffer.concat(heard).length < telnetGreeting.length + 40; tries++)
    await new Promise((resolve) => setTimeout(resolve, 20));
  const all = Buffer.concat(heard);
  t.ok(all.subarray(0, telnetGreeting.length).equals(telnetGreeting));
  t.ok(all.includes(Buffer.of(1, 255, 255, 2)));
  t.ok(all.includes(Buffer.of(IAC, SB, 44, 1, 0, 0, 0x25, 0x80, IAC, SE)), '9600 baud');
  const closed = new Promise<void>((resolve) => far.on('close', () => resolve()));
  line?.destroy();
  await closed;
  const nobody = openNetworkPort({ host: '127.0.0.1', port: await freePort(), telnet: false }, 9600);
  await expectRejection(t, 'EM4020', /ECONNREFUSED/, nobody);
});
