/** What goes wrong on the way to a board: each a clear error or a recovery, with nothing lost or left locked. */

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { deployBundle } from '../../deploy/deploy-bundle.js';
import { BoardSession } from '../../deploy/session/board-session.js';
import { encodeOwner, ownLock } from '../../deploy/session/lock-owner.js';
import { editManifest, quietContext } from '../codegen/evaluate/tiny-bundle.js';
import { listening, quickDeploy, sessionWith } from './board-bundle.js';
import { startProxy } from './cutting-proxy.js';
import { expectRejection } from './expect-rejection.js';
import { startSshd } from './loopback-sshd.js';
import {
  bundle,
  deploy,
  embedModel,
  hangingBundle,
  isLocked,
  isLockedAt,
  manifest,
  program,
  root,
  skip,
  sleepers,
} from './ssh-fixture.js';

t.setTimeout(900_000);

/** Why no file system can be mounted here; false where one can. */
function whyNoTmpfs(): string | false {
  if (process.getuid?.() !== 0) return 'needs root, to mount a file system';
  const folder = mkdtempSync(join(tmpdir(), 'em-mount-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]).status === 0;
  if (mounted) spawnSync('umount', [folder]);
  rmSync(folder, { recursive: true });
  return mounted ? false : 'no tmpfs can be mounted here';
}

const noTmpfs = whyNoTmpfs();

/** A file system of the test's own; gone after it. */
function mountTmpfs(t: Test, folder: string, options: string): void {
  mkdirSync(folder);
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]);
  t.teardown(() => spawnSync('umount', ['-l', folder]));
}

t.test('places that cannot be written', { skip }, async (t) => {
  const sshd = await startSshd(t);

  t.test('a read-only folder', { skip: noTmpfs }, async (t) => {
    await expectRejection(
      t,
      'EM4033',
      /proc|Permission|No such/,
      deploy(sshd.board({}, { folder: '/proc/em-nowhere' })),
    );
    const folder = join(sshd.folder, 'ro');
    mountTmpfs(t, folder, 'ro,size=1m');
    await expectRejection(t, 'EM4033', /Read-only/, deploy(sshd.board({}, { folder })));
  });

  t.test('a full disk: told before, and on the way', { skip: noTmpfs }, async (t) => {
    const folder = join(sshd.folder, 'small');
    mountTmpfs(t, folder, 'size=600k');
    const board = sshd.board({}, { folder: join(folder, 'em') });
    await expectRejection(t, 'EM4033', /are free/, deploy(board));
    t.equal(isLockedAt(join(folder, 'em')), false);

    const local = join(sshd.folder, 'large');
    writeFileSync(local, randomBytes(2_000_000));
    const session = await BoardSession.open(board, null, sessionWith());
    t.teardown(() => session.close());
    const path = join(folder, 'em', 'file');
    await session.command(`: > ${path}`);
    const append = session.link.append(local, path, 0, { timeoutMs: 30_000, onBytes: () => {} });
    await expectRejection(t, 'EM4033', /file/, append);
  });

  t.test('a file system that nothing may be run from', { skip: noTmpfs }, async (t) => {
    const folder = join(sshd.folder, 'noexec');
    mountTmpfs(t, folder, 'noexec');
    const error = await expectRejection(t, 'EM4038', /denied/, deploy(sshd.board({}, { folder })));
    t.match(error?.fix, /noexec/);
    t.equal(isLockedAt(folder), false);
  });
});

t.test('boards that do not fit', { skip }, async (t) => {
  const sshd = await startSshd(t);
  const arch = process.arch === 'x64' ? 'riscv64' : 'x86_64';
  const other = { ...manifest!.targetSpec, arch } as const;
  await expectRejection(
    t,
    'EM4032',
    new RegExp(`the bundle is for ${arch}`),
    BoardSession.open(sshd.board(), other, sessionWith()),
  );
  const wanting = sshd.board({}, { features: ['no-such-feature'] });
  await expectRejection(t, 'EM4032', /no-such-feature/, deploy(wanting));
  // A board whose PATH has little in it.
  const tools = join(sshd.folder, 'tools');
  mkdirSync(tools);
  const poor = await startSshd(t, [`SetEnv PATH=${tools}`]);
  await expectRejection(t, 'EM4031', /no POSIX shell/, deploy(poor.board()));
  for (const name of ['sh', 'uname'])
    symlinkSync(execFileSync('which', [name], { encoding: 'utf8' }).trim(), join(tools, name));
  await expectRejection(t, 'EM4031', /sha256sum/, deploy(poor.board()));
});

t.test('the lock', { skip }, async (t) => {
  const sshd = await startSshd(t);
  const board = sshd.board();
  mkdirSync(root(sshd), { recursive: true });
  const lock = join(root(sshd), 'lock');
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const put = (change: object) => {
    rmSync(lock, { force: true });
    symlinkSync(encodeOwner({ ...ownLock(bootId, 'cafe'), ...change }), lock);
  };

  t.test('held by a living process: busy', async (t) => {
    put({});
    const error = await expectRejection(t, 'EM4030', new RegExp(`process ${process.pid}`), deploy(board));
    t.equal(error?.exitCode, 4);
    t.ok(isLocked(sshd), 'it stays');
  });

  t.test('--wait: until it is free', async (t) => {
    put({});
    const progress = listening();
    const session = BoardSession.open(board, null, sessionWith({ waitMs: 60_000, progress }));
    await delay(1500);
    rmSync(lock);
    await (await session).close();
    t.match(progress.warnings, [/waiting for/]);
    put({});
    const waiting = BoardSession.open(board, null, sessionWith({ waitMs: 1200 }));
    await expectRejection(t, 'EM4030', /held by/, waiting);
  });

  t.test('of a dead process, of an earlier boot, of a reused process number: taken over', async (t) => {
    const dead = spawnSync('true').pid;
    for (const [change, why] of [
      [{ pid: dead, started: '' }, /process \d+ is gone/],
      [{ started: '1' }, /process \d+ is gone/],
      [{ boardBoot: '00000000-0000-0000-0000-000000000000', host: 'elsewhere' }, /board was restarted/],
      [{ hostBoot: '00000000-0000-0000-0000-000000000000' }, /machine was restarted/],
    ] as const) {
      put(change);
      const progress = listening();
      await (await BoardSession.open(board, null, sessionWith({ progress }))).close();
      t.match(progress.warnings, [why]);
      t.equal(isLocked(sshd), null);
    }
  });

  t.test('of another machine: only by force', async (t) => {
    put({ host: 'elsewhere', pid: 1 });
    await expectRejection(t, 'EM4030', /@elsewhere/, deploy(board));
    const refused = embedModel(['boards', 'unlock', '--board', 'pi'], sshd, {
      name: 'pi',
      ssh: sshd.settings(),
      folder: root(sshd),
    });
    t.equal(refused.status, 4, refused.stderr);
    const forced = embedModel(['boards', 'unlock', '--board', 'pi', '--force'], sshd, {
      name: 'pi',
      ssh: sshd.settings(),
      folder: root(sshd),
    });
    t.equal(forced.status, 0, forced.stderr);
    t.match(forced.stdout, /removed the lock of .*@elsewhere/);
    t.equal(isLocked(sshd), null);
    put({ host: 'elsewhere', pid: 1 });
    await (await BoardSession.open(board, null, sessionWith({ force: true }))).close();
    t.equal(isLocked(sshd), null);
  });

  t.test('stopped while it is taken: at whatever moment, it is given back', async (t) => {
    rmSync(lock, { force: true });
    for (const ms of [60, 100, 140, 180, 220, 260, 300, 400]) {
      const controller = new AbortController();
      const opening = BoardSession.open(board, null, sessionWith({ signal: controller.signal }));
      const stop = delay(ms).then(() => controller.abort(new Error('enough')));
      const opened = await opening.catch((error: Error) => error.message);
      await stop;
      if (typeof opened === 'string') t.equal(opened, 'enough');
      else await opened.close();
      t.equal(isLocked(sshd), null, `after ${ms} ms`);
    }
  });

  t.test('two at once: one is busy', async (t) => {
    const outcomes = await Promise.allSettled([deploy(board), deploy(board), deploy(board)]);
    const codes = outcomes
      .map((outcome) => (outcome.status === 'fulfilled' ? 'done' : outcome.reason.code))
      .sort();
    t.same(codes, ['EM4030', 'EM4030', 'done']);
    t.equal(isLocked(sshd), null);
  });

  t.test('many who find a stale lock: exactly one gets it at a time', async (t) => {
    put({ pid: spawnSync('true').pid, started: '' });
    let holders = 0;
    const most = { holders: 0 };
    const work = async () => {
      const session = await BoardSession.open(board, null, sessionWith({ waitMs: 120_000 }));
      holders += 1;
      most.holders = Math.max(most.holders, holders);
      await delay(30);
      holders -= 1;
      await session.close();
    };
    await Promise.all([work(), work(), work(), work()]);
    t.equal(most.holders, 1);
    t.equal(isLocked(sshd), null);
    t.same(
      readdirSync(root(sshd)).filter((name) => name.startsWith('lock')),
      [],
    );
  });
});

t.test('programs that hang, and cuts while they run', { skip }, async (t) => {
  const sshd = await startSshd(t);
  const hanging = hangingBundle(sshd, 'echo begun >&2; exec sleep 1000');

  t.test('time-out: stopped there, unlocked', async (t) => {
    const board = sshd.board({}, { limits: { ...sshd.board().limits, run: 1 } });
    await expectRejection(
      t,
      'EM4035',
      /after 1 s/,
      deployBundle(hanging, board, quickDeploy, sessionWith(), quietContext()),
    );
    t.equal(isLocked(sshd), null);
    t.equal(await sleepers(), 0);
  });

  t.test('Ctrl-C: stopped there, unlocked, exit code 130', async (t) => {
    const child = spawn(
      process.execPath,
      [
        program,
        'deploy',
        hanging,
        '--ssh',
        `127.0.0.1:${sshd.port}`,
        '--identity',
        sshd.key,
        '--known-hosts',
        sshd.knownHosts,
      ],
      { env: { ...process.env, HOME: sshd.folder }, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const home = join(sshd.folder, '.cache', 'embed-model');
    for (let tries = 0; tries < 300 && (await sleepers()) === 0; tries++) await delay(100);
    t.equal(isLockedAt(home), true, 'held while it runs');
    child.kill('SIGINT');
    const code = await new Promise((resolve) => child.once('exit', resolve));
    t.equal(code, 130);
    t.equal(isLockedAt(home), false);
    t.equal(await sleepers(), 0);
  });

  t.test('a cut while it runs: told, stopped, unlocked over a new connection', async (t) => {
    const proxy = await startProxy(t, sshd.port);
    const board = sshd.board({ port: proxy.port });
    const work = deployBundle(hanging, board, quickDeploy, sessionWith(), quietContext());
    const cutting = (async () => {
      for (let tries = 0; tries < 300 && (await sleepers()) === 0; tries++) await delay(100);
      proxy.cut();
    })();
    await expectRejection(t, 'EM4014', /./, work);
    await cutting;
    t.equal(isLocked(sshd), null);
    t.equal(await sleepers(), 0);
    t.equal(proxy.connections, 2);
  });

  t.test('a board that never comes back: told, and the next one takes the lock over', async (t) => {
    const proxy = await startProxy(t, sshd.port);
    const progress = listening();
    const session = await BoardSession.open(
      sshd.board({ port: proxy.port }),
      null,
      sessionWith({ progress }),
    );
    proxy.refuses = true;
    proxy.cut();
    await session.close();
    t.match(progress.warnings, [/lock of loopback stays/]);
    t.ok(isLocked(sshd));
    rmSync(join(root(sshd), 'lock'));
  });
});

t.test('a program that is not what the manifest says, and one that fails', { skip }, async (t) => {
  const sshd = await startSshd(t);
  const copy = join(sshd.folder, 'changed');
  execFileSync('cp', ['-r', bundle, copy]);
  writeFileSync(join(copy, 'model.blob'), 'other bytes');
  const deployCopy = (path: string) =>
    deployBundle(path, sshd.board(), quickDeploy, sessionWith(), quietContext());
  await expectRejection(t, 'EM1401', /SHA-256/, deployCopy(copy));
  const other = join(sshd.folder, 'other');
  execFileSync('cp', ['-r', bundle, other]);
  editManifest(other, ({ build }) => ({ build: { ...build, id: '0'.repeat(64) } }));
  const error = await expectRejection(t, 'EM3205', /it is of build/, deployCopy(other));
  t.equal(error?.exitCode, 1);
  await expectRejection(
    t,
    'EM3204',
    /bad luck/,
    deployCopy(hangingBundle(sshd, 'echo bad luck >&2; exit 3')),
  );
  const refused = join(sshd.folder, 'refused');
  execFileSync('cp', ['-r', bundle, refused]);
  writeFileSync(join(refused, 'report', 'validation_report.json'), '{"accepted": false}');
  t.equal((await expectRejection(t, 'EM4037', /validation_report/, deployCopy(refused)))?.exitCode, 1);
  const forced = { ...quickDeploy, force: true };
  const result = await deployBundle(refused, sshd.board(), forced, sessionWith(), quietContext());
  t.equal(result.output.matchesGolden, true);
});
