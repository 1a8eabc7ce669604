/** Deploying by SSH to a real sshd on loopback: uploads, runs, and what the command line makes of it. */

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Finding } from '../../deploy/doctor.js';
import { BoardSession } from '../../deploy/session/board-session.js';
import type { BoardFile } from '../../deploy/session/bundle-files.js';
import { uploadBundle } from '../../deploy/session/upload.js';
import { editManifest } from '../codegen/evaluate/tiny-bundle.js';
import { listening, sessionWith } from './board-bundle.js';
import { startProxy } from './cutting-proxy.js';
import { expectRejection } from './expect-rejection.js';
import { noSshd, startSshd } from './loopback-sshd.js';
import { bundle, deploy, embedModel, isLocked, isLockedAt, manifest, root, skip } from './ssh-fixture.js';

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
    const before = process.cpuUsage();
    const { sent, seconds } = await send(session, 'plain');
    const { user, system } = process.cpuUsage(before);
    t.equal(sent, size);
    const rate = `${(size / 1e6 / seconds).toFixed(0)} MB/s with the check of the hash`;
    t.comment(`${rate}; ${((user + system) / 1000).toFixed(0)} ms of processor time on this side`);
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

t.test('doctor with a board: a line for everything, and what to do', { skip }, async (t) => {
  const sshd = await startSshd(t);
  const entry = { name: 'pi', ssh: sshd.settings(), folder: root(sshd), target: manifest!.target };
  const looked = embedModel(['doctor', '--board', 'pi', '--json'], sshd, entry);
  t.equal(looked.status, 0, looked.stderr);
  const { findings } = JSON.parse(looked.stdout) as { findings: Finding[] };
  const about = (subject: string) => findings.find((one) => one.subject === subject);
  t.match(about('connection'), { status: 'ok', detail: /127\.0\.0\.1/ });
  t.match(about('targets'), { status: 'ok', detail: new RegExp(manifest!.target) });
  t.match(about('folder'), { detail: /MB free/ });
  t.match(about('lock'), { status: 'ok', detail: 'free' });
  t.same(readdirSync(root(sshd)), [], 'nothing is left there');
  for (const subject of ['programs', 'machine', 'governor', 'temperature', 'energy', 'boot'])
    t.ok(about(subject), subject);
  symlinkSync('somebody', join(root(sshd), 'lock'));
  t.match(
    embedModel(['doctor', '--board', 'pi'], sshd).stdout,
    /warn {2}lock +held by somebody\n.*fix: wait/,
  );
  const other = {
    ...entry,
    target: process.arch === 'x64' ? 'riscv-u74' : 'x86_64-avx2',
    folder: '/proc/nowhere',
  };
  const unfit = embedModel(['doctor', '--board', 'pi'], sshd, other);
  t.equal(unfit.status, 3);
  t.match(unfit.stdout, /fail {2}boards\.json +it is .*, the bundle is for/);
  t.match(unfit.stdout, /fail {2}folder .*nowhere/);
  t.match(embedModel(['doctor', '--board', 'pi', '--dry-run'], sshd).stdout, /Would connect to pi/);
  await sshd.stop();
  const gone = embedModel(['doctor', '--board', 'pi'], sshd);
  t.equal(gone.status, 3);
  t.match(gone.stdout, /fail {2}connection {2}EM4010.*ECONNREFUSED.*\n.*fix: check that it is on/);
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
