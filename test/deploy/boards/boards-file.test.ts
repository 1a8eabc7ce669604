import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { boardOf } from '../../../deploy/boards/board.js';
import { findBoardsFile, readBoardsFile } from '../../../deploy/boards/boards-file.js';
import { addBoards, createBoardsFile, scanBoards } from '../../../deploy/boards/scan-boards.js';
import { parseSerialAddress, parseSshAddress, selectBoard } from '../../../deploy/boards/select-board.js';
import { expectRejection } from '../../boards/expect-rejection.js';
import { expectError } from '../../codegen/checkpoint/expect-error.js';

const folder = mkdtempSync(join(tmpdir(), 'em-boards-'));
t.teardown(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'boards.json');
const pi = { name: 'pi4', target: 'cortex-a72', ssh: { host: 'pi4.local', user: 'pi' } };

t.test('a file that is right', async (t) => {
  writeFileSync(
    path,
    JSON.stringify({ $schema: 'x', boards: [pi, { name: 'vf2', serial: { port: '/dev/ttyUSB0' } }] }),
  );
  const { boards } = await readBoardsFile(path);
  t.same(boards[0], pi);
  t.match(boardOf(boards[0]), { keepBytes: 500e6, limits: { connect: 20 }, transport: { kind: 'ssh' } });
  mkdirSync(join(folder, 'deep', 'er'), { recursive: true });
  t.equal(findBoardsFile(join(folder, 'deep', 'er')), path);
});

t.test('files that are wrong are told of with the place and what to write', async (t) => {
  const cases: readonly [unknown, RegExp][] = [
    [[], /not a JSON object/],
    [{}, /boards is missing/],
    [{ boards: {} }, /boards.json: boards: it takes an array/],
    [{ boards: [{}] }, /boards\[0\]: name is missing: a name/],
    [{ boards: [{ name: 'a b', ssh: { host: 'h' } }] }, /boards\[0\].name: it takes a name.*not "a b"/],
    [
      { boards: [{ name: 'a', shs: { host: 'h' } }] },
      /boards\[0\].shs: there is no such setting; did you mean ssh/,
    ],
    [{ boards: [{ name: 'a', ssh: { host: 'h', port: '22' } }] }, /ssh.port: it takes an integer, not "22"/],
    [
      { boards: [{ name: 'a', ssh: { host: 'h', port: 70000 } }] },
      /ssh.port: it takes a port from 1 to 65535, not 70000/,
    ],
    [{ boards: [{ name: 'a', ssh: { host: '-oProxyCommand' } }] }, /ssh.host/],
    [{ boards: [{ name: 'a', ssh: { host: 'h', fingerprint: 'MD5:00' } }] }, /fingerprint.*SHA256/],
    [{ boards: [{ name: 'a', ssh: { host: 'h' }, features: [1] }] }, /features\[0\]: it takes a string/],
    [{ boards: [{ name: 'a', ssh: { host: 'h' }, folder: 'rel' }] }, /folder.*absolute or under ~/],
    [{ boards: [{ name: 'a', ssh: { host: 'h' }, timeouts: { run: 0 } }] }, /timeouts.run: it takes seconds/],
    [{ boards: [pi, pi] }, /boards\[1\].name: 'pi4' is the name of boards\[0\] already/],
    [{ boards: [{ name: 'a' }] }, /neither ssh nor serial/],
    [{ boards: [{ ...pi, target: 'cortex-a27' }] }, /boards\[0\].target: there is no target 'cortex-a27'/],
    [{ boards: [{ name: 'a', serial: { port: '/dev/x', prompt: '(' } }] }, /serial.prompt/],
    [{ boards: [{ name: 'a', serial: { port: '/dev/x', upload: 'kermit' } }] }, /serial.upload/],
    [{ boards: [{ name: 'a', serial: { port: '/dev/x', uboot: { prompt: '(' } } }] }, /serial.uboot.prompt/],
    [
      { boards: [{ name: 'a', serial: { port: '/dev/x', uboot: { start: 'run' } } }] },
      /uboot.start.*go, or bootm/,
    ],
  ];
  for (const [value, pattern] of cases) {
    writeFileSync(path, JSON.stringify(value));
    await expectRejection(t, 'EM4001', pattern, readBoardsFile(path));
  }
  writeFileSync(path, '{ "boards": [], }');
  await expectRejection(t, 'EM4001', /not JSON/, readBoardsFile(path));
  writeFileSync(path, '{ "boards": [], "boards": [] }');
  await expectRejection(t, 'EM4001', /twice|two/, readBoardsFile(path));
});

t.test('addresses', async (t) => {
  t.same(parseSshAddress('pi'), { host: 'pi' });
  t.same(parseSshAddress('me@pi.local:2222'), { host: 'pi.local', port: 2222, user: 'me' });
  t.same(parseSshAddress('ssh://me@pi'), { host: 'pi', user: 'me' });
  t.same(parseSshAddress('[fe80::1%eth0]:22'), { host: 'fe80::1%eth0', port: 22 });
  for (const text of ['', '@pi', 'pi:', 'pi:0', 'pi:99999', '-oX', 'a b', 'me@']) {
    expectError(t, 'EM4003', /SSH takes/, () => parseSshAddress(text));
  }
  t.same(parseSerialAddress('/dev/ttyUSB0@1500000'), { port: '/dev/ttyUSB0', baud: 1500000 });
  t.same(parseSerialAddress('COM3'), { port: 'COM3' });
  expectError(t, 'EM4003', /baud/, () => parseSerialAddress('/dev/ttyUSB0@100'));
  expectError(t, 'EM4003', /baud/, () => parseSerialAddress(''));
});

t.test('boards are chosen by name, and what the command line says goes first', async (t) => {
  const nothing = { board: null, ssh: null, serial: null, identity: null, knownHosts: null, login: null };
  writeFileSync(path, JSON.stringify({ boards: [{ ...pi, serial: { port: '/dev/ttyAMA9' } }] }));
  const chosen = await selectBoard({ ...nothing, board: 'pi4', identity: '/key', login: 'root' }, folder);
  t.match(chosen, {
    name: 'pi4',
    transport: { kind: 'ssh', ssh: { host: 'pi4.local', user: 'root', identity: '/key' } },
  });
  const serial = await selectBoard(
    { ...nothing, board: 'pi4', serial: '/dev/ttyUSB7@9600', login: 'pi' },
    folder,
  );
  t.match(serial.transport, { kind: 'serial', serial: { port: '/dev/ttyUSB7', baud: 9600, login: 'pi' } });
  await expectRejection(t, 'EM4002', /has pi4/, selectBoard({ ...nothing, board: 'pi5' }, folder));
  const bare = mkdtempSync(join(tmpdir(), 'em-none-'));
  t.teardown(() => rmSync(bare, { recursive: true }));
  await expectRejection(t, 'EM4002', /no boards.json/, selectBoard({ ...nothing, board: 'pi' }, bare));
});

t.test(
  'scan finds ports by stable name and hosts of ssh_config, and leaves what is written alone',
  async (t) => {
    const byId = join(folder, 'by-id');
    const devices = join(folder, 'dev');
    mkdirSync(byId);
    mkdirSync(devices);
    for (const name of ['ttyUSB0', 'ttyACM1', 'ttyS0', 'tty1']) writeFileSync(join(devices, name), '');
    symlinkSync(join(devices, 'ttyUSB0'), join(byId, 'usb-FTDI_TTL232R_FT1234-if00-port0'));
    symlinkSync(join(devices, 'gone'), join(byId, 'usb-Silicon_Labs_CP2102_0001'));
    const sshConfig = join(folder, 'ssh_config');
    writeFileSync(sshConfig, 'Host pi4 lab-*\n  User pi\nHost *\n  Port 22\nHost vf2\n');
    const places = { serialById: byId, devices, sshConfig };
    const text = `{
  "boards": [ { "name": "desk",   "serial": { "port": "${join(devices, 'ttyUSB0')}" }, "notes": "tab ] here" } ]
}
`;
    writeFileSync(path, text);
    const { boards } = await readBoardsFile(path);
    const found = scanBoards(boards, places);
    t.same(
      found.map(({ entry, known, reason }) => [entry.name, known, reason === null]),
      [
        ['desk', 'desk', true],
        ['Silicon_Labs_CP2102_0001', null, false],
        ['ttyACM1', null, true],
        ['pi4', null, true],
        ['vf2', null, true],
      ],
    );
    t.match(found[1].reason, /not there/);
    const fresh = found.filter(({ known }) => known === null).map(({ entry }) => entry);
    await addBoards(path, fresh);
    const written = readFileSync(path, 'utf8');
    t.ok(written.startsWith(text.slice(0, text.indexOf(' ]\n}'))), 'hand edits are as they were');
    t.same(
      (await readBoardsFile(path)).boards.map(({ name }) => name),
      ['desk', ...fresh.map(({ name }) => name)],
    );
    t.same(
      scanBoards((await readBoardsFile(path)).boards, places).filter(({ known }) => known === null),
      [],
    );

    const made = join(folder, 'made.json');
    createBoardsFile(made, [], './schema.json');
    await addBoards(made, [{ name: 'one', ssh: { host: 'one' } }]);
    t.same((await readBoardsFile(made)).boards, [{ name: 'one', ssh: { host: 'one' } }]);
    t.throws(() => createBoardsFile(made, [], './schema.json'), { code: 'EEXIST' });
  },
);
