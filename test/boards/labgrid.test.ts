/** --board labgrid:PLACE at a real coordinator with a real exporter: reserved, acquired, used, released. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { labgridPrograms, startFarm } from './labgrid-farm.js';
import { freePort, startSshd } from './loopback-sshd.js';
import { bundle, embedModel, hangingBundle, isLockedAt, program, skip, writeBoards } from './ssh-fixture.js';

t.setTimeout(900_000);

const programs = skip === false ? labgridPrograms() : skip;

t.test('places of a farm', { skip: typeof programs === 'string' ? programs : false }, async (t) => {
  if (typeof programs === 'string') return;
  const sshd = await startSshd(t);
  const serialPort = await freePort();
  const network = { address: '127.0.0.1', username: sshd.user, port: sshd.port };
  const farm = await startFarm(t, programs.bin, {
    pi: { NetworkService: network },
    console: {
      NetworkSerialPort: { host: '127.0.0.1', port: serialPort, speed: 4_000_000, protocol: 'raw' },
    },
    power: { NetworkPowerPort: { model: 'simplerest', host: 'http://127.0.0.1:1/', index: '0' } },
  });
  await farm.place('pi', 'pi', 'NetworkService');
  await farm.place('console', 'console', 'NetworkSerialPort');
  await farm.place('power', 'power', 'NetworkPowerPort');
  process.env.PATH = `${programs.bin}:${process.env.PATH}`;
  process.env.LG_COORDINATOR = farm.coordinator;
  const reach = ['--identity', sshd.key, '--known-hosts', sshd.knownHosts];
  const deploy = (place: string, ...more: readonly string[]) =>
    embedModel(
      ['deploy', bundle, '--board', place, '--json', '--repeat', '1', '--tokens', '2', ...more],
      sshd,
    );
  const isFree = (place: string) => /acquired: None/.test(farm.client('-p', place, 'show'));

  t.test('by SSH', async (t) => {
    const { status, stdout, stderr } = deploy('labgrid:pi', ...reach);
    t.equal(status, 0, stderr);
    t.match(JSON.parse(stdout), {
      board: { name: 'labgrid:pi', transport: 'ssh' },
      output: { matchesGolden: true },
    });
    t.ok(isFree('pi'));
    t.equal(farm.client('reservations').trim(), '', 'no reservation is left');
  });

  t.test('by the serial console that is exported', async (t) => {
    const home = join(sshd.folder, 'console');
    mkdirSync(home);
    const listen = `TCP-LISTEN:${serialPort},bind=127.0.0.1,reuseaddr,fork`;
    const shell = spawn('socat', [listen, 'EXEC:sh -i,pty,setsid,ctty,stderr,echo=1'], {
      env: { PATH: process.env.PATH, HOME: home, PS1: '# ', TERM: 'vt100' },
      stdio: 'ignore',
    });
    t.teardown(() => shell.kill('SIGKILL'));
    await delay(300);
    writeBoards(sshd, [{ name: 'farm', labgrid: { place: 'console', coordinator: farm.coordinator } }]);
    const { status, stdout, stderr } = deploy('farm');
    t.equal(status, 0, stderr);
    t.match(JSON.parse(stdout), {
      board: { name: 'farm', transport: 'serial' },
      output: { matchesGolden: true },
    });
    t.ok(existsSync(join(home, '.cache', 'embed-model', 'bundles')));
    t.ok(isFree('console'));
    const checked = embedModel(['boards', 'check', '--json'], sshd);
    t.match(JSON.parse(checked.stdout), {
      boards: [{ name: 'farm', usable: true, address: `tcp:127.0.0.1:${serialPort}@4000000` }],
    });
    t.match(embedModel(['boards'], sshd).stdout, /farm +labgrid place console/);
  });

  t.test('somebody else has it: busy, or waited for', async (t) => {
    farm.other('-p', 'pi', 'acquire');
    const busy = deploy('labgrid:pi', ...reach);
    t.equal(busy.status, 4, busy.stderr);
    t.match(busy.stderr, /EM4030[\s\S]*acquired by elsewhere\/somebody/);
    t.equal(farm.client('reservations').trim(), '', 'no reservation is left');
    const args = [
      'deploy',
      bundle,
      '--board',
      'labgrid:pi',
      '--wait',
      '5m',
      '--repeat',
      '1',
      '--tokens',
      '2',
      ...reach,
    ];
    const waiting = spawn(process.execPath, [program, ...args], {
      cwd: sshd.folder,
      env: { ...process.env, HOME: sshd.folder },
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => waiting.once('exit', resolve));
    for (let tries = 0; tries < 60 && farm.client('reservations').trim() === ''; tries++) await delay(500);
    farm.other('-p', 'pi', 'release');
    t.equal(await ended, 0);
    t.ok(isFree('pi'));
  });

  t.test('Ctrl-C: unlocked, released', async (t) => {
    const args = ['deploy', hangingBundle(sshd, 'exec sleep 1000'), '--board', 'labgrid:pi', ...reach];
    const child = spawn(process.execPath, [program, ...args], {
      cwd: sshd.folder,
      env: { ...process.env, HOME: sshd.folder },
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const home = join(sshd.folder, '.cache', 'embed-model');
    for (let tries = 0; tries < 600 && !isLockedAt(home); tries++) await delay(100);
    t.ok(isLockedAt(home));
    t.notOk(isFree('pi'));
    child.kill('SIGINT');
    t.equal(await ended, 130);
    t.notOk(isLockedAt(home));
    t.ok(isFree('pi'));
  });

  t.test('places that are of no use', async (t) => {
    const none = deploy('labgrid:power');
    t.equal(none.status, 3, none.stderr);
    t.match(none.stderr, /EM4005[\s\S]*no NetworkService and no NetworkSerialPort, but NetworkPowerPort/);
    t.ok(isFree('power'));
    t.match(deploy('labgrid:absent'), { status: 3, stderr: /EM4005/ });
    t.equal(deploy('labgrid:pi', '--ssh', 'x').status, 2);
    process.env.LG_COORDINATOR = `127.0.0.1:${await freePort()}`;
    t.match(deploy('labgrid:pi'), { status: 3, stderr: /EM4005/ });
    writeFileSync(join(sshd.folder, 'labgrid-client'), 'not a program');
    const path = process.env.PATH;
    process.env.PATH = sshd.folder;
    t.match(deploy('labgrid:pi'), { status: 3, stderr: /EM4005[\s\S]*pip install labgrid/ });
    process.env.PATH = path;
  });
});
