/** deploy --install: what lies on the board afterwards, what runs at boot, and that the release before stays until it may go. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { deployBundle } from '../../deploy/deploy-bundle.js';
import { systemdUnit, unitName } from '../../deploy/install/install-scripts.js';
import { editManifest, quietContext } from '../codegen/evaluate/tiny-bundle.js';
import { listening, quickDeploy, sessionWith } from './board-bundle.js';
import { expectRejection } from './expect-rejection.js';
import { type LoopbackSshd, startSshd } from './loopback-sshd.js';
import { bundle, bundleCopy, embedModel, isLocked, root, skip, writeBoards } from './ssh-fixture.js';

t.setTimeout(900_000);

const hasSystemd = existsSync('/run/systemd/system');
const noInstall =
  skip !== false ? skip : hasSystemd ? 'this machine runs systemd, whose units would be changed' : false;

/** Another build that computes the same: the loader of the system does not look behind the end of a program. */
function nextBuild(sshd: LoopbackSshd, name: string, program?: string): string {
  const copy = bundleCopy(sshd, name);
  const path = join(copy, 'bin', 'em-run');
  if (program === undefined) appendFileSync(path, name);
  else writeFileSync(path, program);
  const sha256 = execFileSync('sha256sum', [path], { encoding: 'utf8' }).slice(0, 64);
  editManifest(copy, ({ files }) => ({ files: { ...files, 'bin/em-run': sha256 } }));
  return copy;
}

t.test('releases, and the way back', { skip: noInstall }, async (t) => {
  const sshd = await startSshd(t);
  const folder = join(sshd.folder, 'llm');
  const progress = listening();
  const put = (path: string) => {
    const options = { ...quickDeploy, repeat: 1, install: folder };
    return deployBundle(path, sshd.board(), options, sessionWith({ progress }), quietContext());
  };
  const release = (link: 'current' | 'previous') => readlinkSync(join(folder, link)).replace('releases/', '');
  const start = () => spawnSync(join(folder, 'start'), { encoding: 'utf8' });

  const first = (await put(bundle)).deployment.installation;
  t.match(first, { folder, previous: null, startedBy: null });
  t.match(progress.warnings, [/no systemd there .* have .*\/llm\/start run at boot/]);
  t.equal(release('current'), first?.current);
  t.same(readdirSync(join(folder, 'current')).sort(), ['em-run', 'model.blob', 'prove']);
  t.notOk(existsSync(join(folder, 'previous')));
  t.match(start(), { status: 0, stdout: /answers its golden prompts/ });
  t.match((await put(bundle)).deployment.installation, first ?? {}, 'the same once more');

  const second = (await put(nextBuild(sshd, 'second'))).deployment.installation;
  t.match(second, { previous: first?.current });
  t.not(second?.current, first?.current);
  const third = (await put(nextBuild(sshd, 'third'))).deployment.installation;
  t.match(third, { previous: second?.current });
  t.same(readdirSync(join(folder, 'releases')).sort(), [second?.current, third?.current].sort());

  t.test('one that fails where it is installed: the earlier one stays', async (t) => {
    const real = join(bundle, 'bin', 'em-run');
    const program = `#!/bin/sh
case $PWD in */bundles/*) exec ${real} "$@" ;; esac
${real} "$@" | sed 's/ value=./ value=x/'
`;
    const error = await expectRejection(t, 'EM4039', /did not answer/, put(nextBuild(sshd, 'bad', program)));
    t.equal(error?.exitCode, 1);
    t.equal(release('current'), third?.current);
    t.equal(release('previous'), second?.current);
    t.same(readdirSync(join(folder, 'releases')).sort(), [second?.current, third?.current].sort());
    t.equal(isLocked(sshd), null);
  });

  t.test('one that computes something else is never installed', async (t) => {
    const wrong = bundleCopy(sshd, 'wrong');
    editManifest(wrong, ({ golden }) => ({
      golden: golden.map((run) => ({ ...run, logitsDigest: '0'.repeat(16) })),
    }));
    const { deployment, output } = await put(wrong);
    t.equal(output.matchesGolden, false);
    t.equal(deployment.installation, undefined);
    t.equal(release('current'), third?.current);
    editManifest(wrong, () => ({ golden: [] }));
    await expectRejection(t, 'EM4039', /no golden run/, put(wrong));
  });

  t.test('with a kernel module, of another kernel or of nobody', async (t) => {
    const module = bundleCopy(sshd, 'module');
    editManifest(module, () => ({ kernelModule: { firmware: null, kernel: '1.2.3-other' } }));
    const error = await expectRejection(t, 'EM5008', /for Linux 1\.2\.3-other, the board runs/, put(module));
    t.equal(error?.exitCode, 3);
    editManifest(module, () => ({ kernelModule: { firmware: null, kernel: null } }));
    progress.warnings.length = 0;
    t.match((await put(module)).deployment.installation, { moduleKernel: null });
    t.match(progress.warnings[0], /module has sources only: no kernel module is installed/);
    t.match((await put(join(sshd.folder, 'second'))).deployment.installation, {});
    t.match((await put(join(sshd.folder, 'third'))).deployment.installation, { current: third?.current });
  });

  t.test('at boot: a release that was damaged gives way to the one before', async (t) => {
    const blob = join(folder, 'current', 'model.blob');
    const bytes = readFileSync(blob);
    bytes[bytes.length >> 1] ^= 1;
    writeFileSync(blob, bytes);
    const back = start();
    t.equal(back.status, 0, back.stderr);
    t.match(back.stderr, /FAILED its golden prompts[\s\S]*went back to releases/);
    t.equal(release('current'), second?.current);
    t.notOk(existsSync(join(folder, 'previous')));
    writeFileSync(join(folder, 'current', 'model.blob'), bytes);
    t.match(start(), { status: 1, stderr: /no earlier release/ }, 'and nothing is left to go back to');
    t.equal((await put(bundle)).deployment.installation?.current, first?.current, 'until there is a new one');
  });

  t.test('places that cannot be', async (t) => {
    writeBoards(sshd, [{ name: 'pi', ssh: sshd.settings(), folder: root(sshd) }]);
    const install = (at: string) =>
      embedModel(['deploy', bundle, '--board', 'pi', '--repeat', '1', '--install', at], sshd);
    for (const at of ['llm', '/a b', "/a'b", '/', '~'])
      t.match(install(at), { status: 2, stderr: /EM1202/ }, at);
    t.match(install('/proc/nowhere'), { status: 3, stderr: /EM4033/ });
    const well = install('~/in-home/');
    t.equal(well.status, 0, well.stderr);
    t.match(well.stdout, /installed +.*\/in-home\/current is [0-9a-f]{12}, nothing to go back to/);
  });
});

const noAnalyze =
  spawnSync('systemd-analyze', ['--version']).status === 0 ? false : 'systemd-analyze is not installed';

t.test('systemd takes the unit', { skip: noAnalyze }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'em-unit-'));
  t.teardown(() => execFileSync('rm', ['-rf', folder]));
  writeFileSync(join(folder, 'start'), '#!/bin/sh\n', { mode: 0o755 });
  const path = join(folder, unitName(folder));
  writeFileSync(path, systemdUnit(folder, 'multi-user.target'));
  const verify = () => spawnSync('systemd-analyze', ['verify', '--man=no', path], { encoding: 'utf8' });
  const { status, stderr } = verify();
  t.equal(status, 0, stderr);
  t.notMatch(stderr, /Unknown|Invalid|ignor/);
  writeFileSync(path, systemdUnit(folder, 'multi-user.target').replace('Type=oneshot', 'Type=once'));
  t.match(verify().stderr, /once/, 'what is wrong would be told');
});
