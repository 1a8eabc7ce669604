/** Deploying by SSH to a real sshd on loopback, and everything that can go wrong on the way. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { deployBundle } from '../../deploy/deploy-bundle.js';
import { BoardSession } from '../../deploy/session/board-session.js';
import type { BoardFile } from '../../deploy/session/bundle-files.js';
import { encodeOwner, ownLock } from '../../deploy/session/lock-owner.js';
import { uploadBundle } from '../../deploy/session/upload.js';
import { editManifest, quietContext } from '../codegen/evaluate/tiny-bundle.js';
import {
  buildOrReason,
  listening,
  nativeTarget,
  quickDeploy,
  scratchFolder,
  sessionWith,
} from './board-bundle.js';
import { startProxy } from './cutting-proxy.js';
import { expectRejection } from './expect-rejection.js';
import { type LoopbackSshd, noSshd, startSshd } from './loopback-sshd.js';

const program = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'bin', 'embed-model.js');
const built = noSshd === false ? await buildOrReason(scratchFolder('deploy'), await nativeTarget()) : noSshd;
const skip = typeof built === 'string' ? built : false;
const { bundle, manifest } = typeof built === 'string' ? { bundle: '', manifest: null } : built;
const deploy = (board: Parameters<typeof deployBundle>[1], session = sessionWith(), options = quickDeploy) =>
  deployBundle(bundle, board, options, session, quietContext());
const root = (sshd: LoopbackSshd) => join(sshd.folder, 'board');
const isLocked = (sshd: LoopbackSshd) => {
  try {
    return readlinkSync(join(root(sshd), 'lock'));
  } catch {
    return null;
  }
};

t.setTimeout(900_000);

t.test('a bundle goes to a board, is proved and measured', { skip }, async (t) => {
  const sshd = await startSshd(t);
  const board = sshd.board();
  const first = await deploy(board);
  t.equal(first.output.matchesGolden, true);
  t.same(first.deployment.goldenRuns, manifest!.golden.length);
  t.same(first.deployment.goldenEqual, manifest!.golden.length);
  t.ok(first.deployment.sentBytes > first.files.blobBytes, 'program and weights');
  t.match(first.board, { name: 'loopback', transport: 'ssh', emulated: false, kernel: /^Linux / });
  t.ok(first.board.conditions !== undefined);
  t.equal(first.bench.repeats, 2);
  t.equal(isLocked(sshd), null, 'the lock is given back');
  const [key] = readdirSync(join(root(sshd), 'bundles'));
  t.same(readdirSync(join(root(sshd), 'bundles', key)).sort(), ['em-run', 'model.blob']);

  t.test('again: nothing is uploaded', async (t) => {
    const proxy = await startProxy(t, sshd.port);
    const again = await deploy(sshd.board({ port: proxy.port }));
    t.equal(again.deployment.sentBytes, 0);
    t.ok(proxy.sent < 60_000, `${proxy.sent} bytes: keys and commands`);
  });

  t.test('a file that was damaged there is replaced', async (t) => {
    const path = join(root(sshd), 'bundles', key, 'model.blob');
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] ^= 1;
    writeFileSync(path, bytes);
    const again = await deploy(board);
    t.ok(again.deployment.sentBytes > 0);
    t.equal(again.output.matchesGolden, true);
  });

  t.test('old bundles go, the one in use stays', async (t) => {
    for (const old of ['aaaa', 'bbbb.part']) {
      mkdirSync(join(root(sshd), 'bundles', old));
      writeFileSync(join(root(sshd), 'bundles', old, 'model.blob'), randomBytes(100_000));
    }
    rmSync(join(root(sshd), 'bundles', key), { recursive: true });
    await deploy(sshd.board({}, { keepBytes: 0 }));
    t.same(readdirSync(join(root(sshd), 'bundles')), [key]);
  });
});

t.test('logits that differ: exit code 1, not tried again, unlocked', { skip }, async (t) => {
  const sshd = await startSshd(t);
  const copy = join(sshd.folder, 'bundle');
  execFileSync('cp', ['-r', bundle, copy]);
  editManifest(copy, ({ golden }) => ({
    golden: golden.map((run) => ({ ...run, logitsDigest: '0123456789abcdef' })),
  }));
  const args = [
    copy,
    '--ssh',
    `127.0.0.1:${sshd.port}`,
    '--identity',
    sshd.key,
    '--known-hosts',
    sshd.knownHosts,
  ];
  const { status, stdout } = embedModel(
    ['deploy', ...args, '--json', '--repeat', '1', '--tokens', '2'],
    sshd,
  );
  t.equal(status, 1);
  const result = JSON.parse(stdout);
  t.match(result, { output: { matchesGolden: false }, deployment: { goldenEqual: 0 } });
  t.equal(isLockedAt(join(sshd.folder, '.cache', 'embed-model')), false);
});

t.test('run, verify and bench go to a board as well', { skip }, async (t) => {
  const sshd = await startSshd(t);
  const place = [
    '--ssh',
    `127.0.0.1:${sshd.port}`,
    '--identity',
    sshd.key,
    '--known-hosts',
    sshd.knownHosts,
    '--json',
  ];
  const run = embedModel(
    [
      'run',
      bundle,
      '--ids',
      manifest!.golden[0].promptIds.join(','),
      '--tokens',
      String(manifest!.golden[0].tokenIds.length),
      ...place,
    ],
    sshd,
  );
  t.equal(run.status, 0, run.stderr);
  t.match(JSON.parse(run.stdout), { board: { transport: 'ssh' }, output: { matchesGolden: true } });
  const verify = embedModel(['verify', bundle, '--layers', ...place], sshd);
  t.equal(verify.status, 0, verify.stderr);
  t.match(JSON.parse(verify.stdout), { matches: true, layers: { firstDifference: null } });
  const bench = embedModel(['bench', bundle, '--repeat', '1', '--tokens', '3', ...place], sshd);
  t.equal(bench.status, 0, bench.stderr);
  t.match(JSON.parse(bench.stdout), { board: { transport: 'ssh' }, bench: { repeats: 1 } });
  const both = embedModel(['run', bundle, '--ids', '1', '--host', ...place], sshd);
  t.equal(both.status, 2);
  t.match(both.stderr, /EM1208/);
});

t.test('uploads', { skip: noSshd }, async (t) => {
  const sshd = await startSshd(t);
  const local = join(sshd.folder, 'payload');
  const size = 8_000_000;
  writeFileSync(local, randomBytes(size));
  const sha256 = execFileSync('sha256sum', [local], { encoding: 'utf8' }).slice(0, 64);
  const file: BoardFile = { name: 'em-run', local, bytes: size, sha256 };
  const payload = (key: string) => ({ files: [file], key, bytes: size });
  const send = async (session: BoardSession, key: string) => {
    let sent = 0;
    const started = performance.now();
    await uploadBundle(session.link, session.root, payload(key), {
      ...{ commandMs: 30_000, uploadMs: 60_000, keepBytes: 1e9, beforeSending: () => {} },
      onBytes: (count) => {
        sent += count;
      },
    });
    return { sent, seconds: (performance.now() - started) / 1000 };
  };

  t.test('8 MB', async (t) => {
    const session = await BoardSession.open(sshd.board(), null, sessionWith());
    t.teardown(() => session.close());
    const { sent, seconds } = await send(session, 'plain');
    t.equal(sent, size);
    t.comment(`${(size / 1e6 / seconds).toFixed(0)} MB/s with the check of the hash`);
  });

  t.test('without SFTP, through a shell', async (t) => {
    const bare = await startSshd(t, ['Subsystem none /bin/false']);
    const session = await BoardSession.open(bare.board(), null, sessionWith());
    t.teardown(() => session.close());
    t.equal((await send(session, 'shell')).sent, size);
    t.ok(existsSync(join(root(bare), 'bundles', 'shell', 'em-run')));
  });

  for (const [way, lines] of [
    ['SFTP', []],
    ['a shell', ['Subsystem none /bin/false']],
  ] as const) {
    t.test(`a cut half-way by ${way}: what arrived is not sent again`, async (t) => {
      const server = await startSshd(t, lines);
      const proxy = await startProxy(t, server.port, (index) => (index === 0 ? size / 2 : undefined));
      const progress = listening();
      const session = await BoardSession.open(
        server.board({ port: proxy.port }),
        null,
        sessionWith({ progress }),
      );
      t.teardown(() => session.close());
      await session.throughCuts(
        () => send(session, 'cut'),
        () => proxy.sent,
      );
      t.equal(proxy.connections, 2);
      t.match(progress.warnings, [/connecting again/]);
      const again = proxy.sent - size / 2;
      t.ok(again < 0.6 * size, `${again} of ${size} bytes after the cut`);
      t.ok(existsSync(join(root(server), 'bundles', 'cut', 'em-run')));
    });
  }

  t.test('a part that is not a beginning of the file is thrown away', async (t) => {
    mkdirSync(join(root(sshd), 'bundles', 'odd.part'), { recursive: true });
    writeFileSync(join(root(sshd), 'bundles', 'odd.part', 'em-run'), randomBytes(size / 4));
    const session = await BoardSession.open(sshd.board(), null, sessionWith());
    t.teardown(() => session.close());
    await send(session, 'odd');
    t.equal(
      execFileSync('sha256sum', [join(root(sshd), 'bundles', 'odd', 'em-run')], { encoding: 'utf8' }).slice(
        0,
        64,
      ),
      sha256,
    );
    truncateSync(join(root(sshd), 'bundles', 'odd', 'em-run'), 5);
    t.equal((await send(session, 'odd')).sent, size, 'so is one that was complete once');
  });

  t.test('a file that changes on the way is found out', async (t) => {
    const session = await BoardSession.open(sshd.board(), null, sessionWith());
    t.teardown(() => session.close());
    const wrong = { ...payload('wrong'), files: [{ ...file, sha256: '0'.repeat(64) }] };
    const upload = uploadBundle(session.link, session.root, wrong, {
      ...{ commandMs: 30_000, uploadMs: 60_000, keepBytes: 1e9, beforeSending: () => {}, onBytes: () => {} },
    });
    await expectRejection(t, 'EM4034', /SHA-256/, upload);
    t.notOk(existsSync(join(root(sshd), 'bundles', 'wrong')));
  });

  t.test('an upload that takes too long', async (t) => {
    const session = await BoardSession.open(sshd.board(), null, sessionWith());
    t.teardown(() => session.close());
    const late = uploadBundle(session.link, session.root, payload('late'), {
      ...{ commandMs: 30_000, uploadMs: 1, keepBytes: 1e9, beforeSending: () => {}, onBytes: () => {} },
    });
    await expectRejection(t, 'EM4035', /0\.001 s/, late);
    t.equal((await send(session, 'late')).sent > 0, true, 'the session still works');
  });
});

t.test('places that cannot be written', { skip }, async (t) => {
  const sshd = await startSshd(t);
  const isRoot = process.getuid?.() === 0;

  t.test('a read-only folder', { skip: isRoot ? false : 'needs root, to log in as root does' }, async (t) => {
    await expectRejection(
      t,
      'EM4033',
      /proc|Permission|No such/,
      deploy(sshd.board({}, { folder: '/proc/em-nowhere' })),
    );
    const folder = join(sshd.folder, 'ro');
    mkdirSync(folder);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'ro,size=1m', 'tmpfs', folder]);
    if (mounted.status !== 0) return void t.comment('not checked: no tmpfs can be mounted here');
    t.teardown(() => spawnSync('umount', ['-l', folder]));
    return void (await expectRejection(t, 'EM4033', /Read-only/, deploy(sshd.board({}, { folder }))));
  });

  t.test(
    'a full disk: told before, and on the way',
    { skip: isRoot ? false : 'needs root, to mount one' },
    async (t) => {
      const folder = join(sshd.folder, 'small');
      mkdirSync(folder);
      if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=600k', 'tmpfs', folder]).status !== 0) {
        return void t.comment('not checked: no tmpfs can be mounted here');
      }
      t.teardown(() => spawnSync('umount', ['-l', folder]));
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
      return void (await expectRejection(t, 'EM4033', /file/, append));
    },
  );

  t.test(
    'a file system that nothing may be run from',
    { skip: isRoot ? false : 'needs root, to mount one' },
    async (t) => {
      const folder = join(sshd.folder, 'noexec');
      mkdirSync(folder);
      if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'noexec', 'tmpfs', folder]).status !== 0) {
        return void t.comment('not checked: no tmpfs can be mounted here');
      }
      t.teardown(() => spawnSync('umount', ['-l', folder]));
      const error = await expectRejection(t, 'EM4038', /denied/, deploy(sshd.board({}, { folder })));
      t.match(error?.fix, /noexec/);
      return void t.equal(isLockedAt(folder), false);
    },
  );
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

t.test('boards list and check, from a folder with a boards.json', { skip: noSshd }, async (t) => {
  const sshd = await startSshd(t);
  const entry = { name: 'pi', ssh: sshd.settings(), notes: `of ${hostname()}` };
  const listed = embedModel(['boards', '--json'], sshd, entry);
  t.match(JSON.parse(listed.stdout), { boards: [{ name: 'pi' }] });
  const checked = embedModel(['boards', 'check', '--json'], sshd, entry);
  t.equal(checked.status, 0, checked.stderr);
  t.match(JSON.parse(checked.stdout), { boards: [{ name: 'pi', usable: true, kernel: /Linux/ }] });
  await sshd.stop();
  const gone = embedModel(['boards', 'check'], sshd, entry);
  t.equal(gone.status, 3);
  t.match(gone.stdout, /fail {2}pi .*EM4010.*ECONNREFUSED/);
});

/** The command line, in the test's folder and with its home. */
function embedModel(args: readonly string[], sshd: LoopbackSshd, entry?: object) {
  if (entry !== undefined)
    writeFileSync(join(sshd.folder, 'boards.json'), JSON.stringify({ boards: [entry] }));
  const { NODE_V8_COVERAGE: _, ...environment } = process.env;
  const options = { cwd: sshd.folder, encoding: 'utf8', env: { ...environment, HOME: sshd.folder } } as const;
  return spawnSync(process.execPath, [program, ...args], options);
}

function isLockedAt(folder: string): boolean {
  try {
    readlinkSync(join(folder, 'lock'));
    return true;
  } catch {
    return false;
  }
}

/** The bundle with a shell script for its program. */
function hangingBundle(sshd: LoopbackSshd, script: string): string {
  const copy = join(sshd.folder, `script-${randomBytes(4).toString('hex')}`);
  execFileSync('cp', ['-r', bundle, copy]);
  const path = join(copy, 'bin', 'em-run');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  const sha256 = execFileSync('sha256sum', [path], { encoding: 'utf8' }).slice(0, 64);
  editManifest(copy, ({ files }) => ({ files: { ...files, 'bin/em-run': sha256 } }));
  return copy;
}

/** Processes that run what hangs. */
async function sleepers(): Promise<number> {
  await delay(50);
  const isOurs = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1') === 'sleep\x001000\x00';
    } catch {
      return false;
    }
  };
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isOurs(name)).length;
}
