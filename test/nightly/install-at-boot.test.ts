/**
 * deploy --install on a board that boots systemd from a disk: the unit and the kernel module after a real reboot, the way back when a
 * release is broken, and a board that starts anew while it is measured.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, cpSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fileSha256 } from '../../codegen/bundle/bundle-files.js';
import type { Manifest } from '../../codegen/bundle/manifest.js';
import type { Board } from '../../deploy/boards/board.js';
import { deployBundle } from '../../deploy/deploy-bundle.js';
import { buildOrReason, listening, quickDeploy, scratchFolder, sessionWith } from '../boards/board-bundle.js';
import { expectRejection } from '../boards/expect-rejection.js';
import { boardHeaders } from '../boards/kernel-board.js';
import { moduleTargets, targetNamed } from '../boards/module-board.js';
import { type BoardImage, startQemuBoard } from '../boards/qemu-board.js';
import { program } from '../boards/ssh-fixture.js';
import { asUser, shellOf, systemdImage, systemdMachine } from '../boards/systemd-board.js';
import { editManifest, quietContext } from '../codegen/evaluate/tiny-bundle.js';

t.setTimeout(3_600_000);

const bootMs = 600_000;
const image = systemdImage();
const scratch = scratchFolder('boot');
const built = typeof image === 'string' ? image : await bundleWithModule(image);
const skip = typeof built === 'string' ? built : false;

type Built = Exclude<Awaited<ReturnType<typeof buildOrReason>>, string>;

/** The bundled model with a module for the kernel of the board. */
async function bundleWithModule(of: BoardImage): Promise<Built | string> {
  const headers = boardHeaders(systemdMachine, of);
  if (typeof headers === 'string') return headers;
  const target = targetNamed(moduleTargets[systemdMachine.arch]);
  const extras = { kernelModule: true, kernelHeaders: headers.folder };
  return buildOrReason(join(scratch, 'out'), target, 'os-nano', extras);
}

const put = (bundle: string, board: Board, install: string, progress = listening()) => {
  const options = { ...quickDeploy, repeat: 1, install };
  return deployBundle(bundle, board, options, sessionWith({ progress, acceptNew: true }), quietContext());
};

/** A copy with changed files, which its manifest agrees to. */
function variant({ bundle }: Built, name: string, change: (folder: string) => Partial<Manifest>): string {
  const folder = join(scratch, name);
  cpSync(bundle, folder, { recursive: true });
  const changed = change(folder);
  editManifest(folder, ({ files }) => {
    const hashes = Object.keys(files).map((path) => [path, fileSha256(join(folder, path))] as const);
    return { files: Object.fromEntries(hashes), ...changed };
  });
  return folder;
}

/** Another build that computes the same: the loaders do not look behind the end of a program or a module. */
const nextBuild = (one: Built) =>
  variant(one, 'next', (folder) => {
    for (const file of ['bin/em-run', 'module/embed_model.ko']) appendFileSync(join(folder, file), 'next');
    return {};
  });

/** Its module expects other logits, or has an error, which the self-test cannot tell apart. */
const wrongModule = (one: Built) =>
  variant(one, 'wrong-module', (folder) => {
    const path = join(folder, 'module', 'embed_model.ko');
    const bytes = readFileSync(path);
    const digest = Buffer.from(one.manifest.golden[0].logitsDigest, 'hex').reverse();
    const at = bytes.indexOf(digest);
    t.ok(at > 0, 'the digest is in the module');
    bytes[at] ^= 1;
    writeFileSync(path, bytes);
    return {};
  });

/** Its program runs where it was uploaded, but not where it is installed. */
const wrongProgram = (one: Built) =>
  variant(one, 'wrong-program', (folder) => {
    const path = join(folder, 'bin', 'em-run');
    const real = readFileSync(path);
    const { size } = statSync(path);
    const script = `#!/bin/sh
case $PWD in */bundles/*) ;; *) echo "it is broken here" >&2; exit 1 ;; esac
[ -x /tmp/real ] || { tail -c ${size} "$0" > /tmp/real; chmod 755 /tmp/real; }
exec /tmp/real "$@"
`;
    writeFileSync(path, Buffer.concat([Buffer.from(script), real]));
    return {};
  });

/** As if it had been built without --kernel-module. */
function withoutModule(folder: string): Partial<Manifest> {
  const path = join(folder, 'manifest.json');
  const { kernelModule: _, ...rest } = JSON.parse(readFileSync(path, 'utf8')) as Manifest;
  writeFileSync(path, JSON.stringify(rest));
  return {};
}

t.test('systemd starts what is installed', { skip }, async (t) => {
  if (typeof image === 'string' || typeof built === 'string') return;
  const qemu = await startQemuBoard(t, systemdMachine, image, 'ssh');
  const board = { ...qemu.ssh, limits: { ...qemu.ssh.limits, command: 300 } };
  await qemu.begin();
  await qemu.ready(bootMs);
  const user = asUser(board, 'user');

  const first = (await put(built.bundle, board, '/opt/llm')).deployment.installation;
  const release = (await shellOf(board)('uname -r')).said.trim();
  t.match(first, { folder: '/opt/llm', previous: null, startedBy: 'systemd', moduleKernel: release });
  const sh = shellOf(board);
  const said = async (script: string) => (await sh(script)).said.trim();
  const link = async (name: string) => (await said(`readlink /opt/llm/${name}`)).replace('releases/', '');
  t.equal(await said('systemctl is-enabled embed-model-opt-llm.service'), 'enabled');
  t.equal(await said('ls /dev/embed_model'), '/dev/embed_model');

  const plain = variant(built, 'plain', withoutModule);
  await expectRejection(t, 'EM5008', /only root/, put(built.bundle, user, '~/llm'));
  const ofUser = (await put(plain, user, '~/llm')).deployment.installation;
  t.match(ofUser, { folder: '/home/user/llm', startedBy: 'systemd --user', moduleKernel: null });
  await sh('loginctl enable-linger user');

  let boots = 1;
  const reboot = async () => {
    await sh('sync; systemctl reboot');
    boots += 1;
    await qemu.ready(bootMs, boots);
  };
  const ofUnit = (unit: string) =>
    said(`systemctl show --value -p ActiveState -p Result -p ExecMainStatus ${unit} | tr '\\n' ' '`);

  t.test('after a reboot', async (t) => {
    await reboot();
    t.equal(await ofUnit('embed-model-opt-llm.service'), 'success 0 active');
    const journal = 'journalctl -b -o cat';
    t.match(
      await said(`${journal} -u embed-model-opt-llm`),
      new RegExp(`embed-model: releases/${first?.current} answers its golden prompts`),
    );
    t.match(await said(`${journal} -u systemd-modules-load`), /Inserted module 'embed_model'/);
    const { golden } = built.manifest;
    t.equal(await said("dmesg | grep -c 'as golden'"), String(golden.length), 'its self-test ran once');
    t.match(
      await said(`for i in $(seq 120); do ${journal} _UID=1000 | grep answers && break; sleep 1; done`),
      /releases\/\w+ answers its golden prompts/,
      'that of a user too, who is not logged in',
    );
    t.match(await said('systemctl --failed'), /^0 loaded/m);
  });

  t.test('a module that computes something else does not get in', async (t) => {
    await expectRejection(
      t,
      'EM4039',
      /did not answer: kernel module: .*self-test: logits/,
      put(wrongModule(built), board, '/opt/llm'),
    );
    await expectRejection(t, 'EM4039', /did not answer/, put(wrongProgram(built), board, '/opt/llm'));
    t.same([await link('current'), await link('previous')], [first?.current, '']);
    t.equal(await said('ls /opt/llm/releases'), first?.current);
    t.equal(await said('ls /lib/firmware/embed_model | wc -l'), '1');
    t.equal(
      (await sh('/opt/llm/start && test -c /dev/embed_model')).code,
      0,
      'the earlier one is loaded again',
    );
  });

  t.test('while somebody uses the module, it stays', async (t) => {
    const holding = sh('exec 3<>/dev/embed_model; echo $$ > /run/holder; exec sleep 600');
    for (let tries = 0; tries < 60 && (await sh('test -s /run/holder')).code !== 0; tries++);
    await expectRejection(t, 'EM4039', /in use/, put(nextBuild(built), board, '/opt/llm'));
    await sh('kill $(cat /run/holder)');
    await holding;
    t.equal(await link('current'), first?.current);
  });

  t.test('a release that is damaged later: at boot the one before takes its place', async (t) => {
    const second = (await put(join(scratch, 'next'), board, '/opt/llm')).deployment.installation;
    t.match(second, { previous: first?.current, startedBy: 'systemd', moduleKernel: release });
    const ko = 'cmp /opt/llm/current/embed_model.ko /lib/modules/$(uname -r)/updates/embed_model.ko';
    t.equal((await sh(ko)).code, 0);
    await sh(
      'cd /opt/llm/current && truncate -s 4096 embed_model.ko && cp embed_model.ko /lib/modules/$(uname -r)/updates/',
    );
    await reboot();
    t.match(
      await said('journalctl -b -o cat -u embed-model-opt-llm'),
      new RegExp(`${second?.current} FAILED[\\s\\S]*went back to releases/${first?.current}`),
    );
    t.equal(await ofUnit('embed-model-opt-llm.service'), 'success 0 active');
    t.equal(await link('current'), first?.current);
    t.equal(
      (await sh(`${ko} && test -c /dev/embed_model`)).code,
      0,
      'and its module is the one that is loaded',
    );
    const loads = await said("dmesg | grep -c 'as golden'");
    t.equal(loads, String(built.manifest.golden.length), 'which is the only one that could be');
    t.equal(await said("dmesg | grep -E 'BUG:|WARNING:|Oops|Call Trace'"), '');
  });

  t.test('starts anew while it is measured', async (t) => {
    const lock = 'readlink /root/.cache/embed-model/lock';
    for (const how of ['reset', 'reboot'] as const) {
      const run = measuring(t, built.bundle, board);
      await run.begun;
      t.match(await said(lock), /./, 'it has the lock');
      await sh('sync'); // what has not been written yet would be gone with the power
      if (how === 'reset') await qemu.reset();
      else await sh('reboot -f');
      boots += 1;
      const { code, stderr } = await run.end;
      t.equal(code, 3, stderr);
      t.match(stderr, /EM4036/, how);
      await qemu.ready(bootMs, boots);
      t.match(await said(lock), /./, 'the lock of the time before still lies there');
      const progress = listening();
      t.equal((await put(built.bundle, board, '/opt/llm', progress)).output.matchesGolden, true);
      t.match(progress.warnings.join('\n'), /lock/, 'it is taken over');
      t.equal(await said(lock), '');
      t.equal(await said('pgrep em-run; ls /root/.cache/embed-model'), 'bundles', 'nothing is left');
    }
  });

  t.test('removed', async (t) => {
    await sh('/opt/llm/module remove');
    const places =
      '/etc/modules-load.d/embed_model.conf /lib/modules/*/updates/embed_model.ko /dev/embed_model';
    t.equal(await said(`ls -d ${places} 2>/dev/null`), '');
  });
});

/** embed-model deploy as a command, which measures for longer than anybody waits. */
function measuring(t: Test, bundle: string, board: Board) {
  const { transport } = board;
  if (transport.kind !== 'ssh') throw new Error('only by SSH');
  const { host, port, user, identity, knownHosts } = transport.ssh;
  const words = ['deploy', bundle, '--ssh', `${user}@${host}:${port}`, '--repeat', '10000'];
  const keys = ['--identity', identity ?? '', '--known-hosts', knownHosts ?? '', '--accept-new'];
  const child = spawn(process.execPath, [program, ...words, ...keys], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let stderr = '';
  const begun = new Promise<void>((resolve) => {
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
      if (/golden: logits equal/.test(stderr)) setTimeout(resolve, 3000);
    });
    child.once('close', () => resolve());
  });
  const end = new Promise<{ code: number | null; stderr: string }>((resolve) => {
    child.once('close', (code) => resolve({ code, stderr }));
  });
  return { begun, end };
}
