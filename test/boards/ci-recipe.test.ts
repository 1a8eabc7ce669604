/** The script of docs/ci.md, as CI runs it: from a folder that has a boards.json and a bundle, and nothing else. */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { encodeOwner, ownLock } from '../../deploy/session/lock-owner.js';
import { editManifest } from '../codegen/evaluate/tiny-bundle.js';
import { buildOrReason, nativeTarget, scratchFolder } from './board-bundle.js';
import { freePort, noSshd, startSshd } from './loopback-sshd.js';

t.setTimeout(600_000);

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const script = join(root, 'examples', 'ci', 'deploy-board.sh');
const built = noSshd === false ? await buildOrReason(scratchFolder('ci'), await nativeTarget()) : noSshd;

t.test('deploy-board.sh', { skip: typeof built === 'string' ? built : false }, async (t) => {
  if (typeof built === 'string') return;
  const sshd = await startSshd(t);
  const folder = join(sshd.folder, 'checkout');
  const bin = join(sshd.folder, 'bin');
  mkdirSync(folder);
  mkdirSync(bin);
  symlinkSync(join(root, 'bin', 'embed-model.js'), join(bin, 'embed-model'));
  cpSync(built.bundle, join(folder, 'bundle'), { recursive: true });
  const entry = {
    name: 'pi4',
    target: built.manifest.target,
    ssh: sshd.settings(),
    folder: join(sshd.folder, 'board'),
  };
  const gone = { ...entry, name: 'gone', ssh: { ...entry.ssh, port: await freePort() } };
  writeFileSync(join(folder, 'boards.json'), JSON.stringify({ boards: [entry, gone] }));
  const run = (environment: Record<string, string> = {}, boards = 'pi4') => {
    const { GITHUB_ACTIONS: _, GITHUB_STEP_SUMMARY: __, ...inherited } = process.env;
    const env = { ...inherited, PATH: `${bin}:${process.env.PATH}`, HOME: sshd.folder, ...environment };
    return spawnSync('sh', [script, 'bundle', boards], { cwd: folder, encoding: 'utf8', env });
  };
  const summary = join(sshd.folder, 'summary.md');

  const first = run({ GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: summary });
  t.equal(first.status, 0, first.stderr);
  t.same(readdirSync(join(folder, 'board-report')).sort(), ['junit.xml', 'report.html', 'result.json']);
  t.match(JSON.parse(readFileSync(join(folder, 'board-report', 'result.json'), 'utf8')), {
    board: { name: 'pi4' },
    output: { matchesGolden: true },
  });
  t.equal(readFileSync(summary, 'utf8').match(/\| pi4 \|/g)?.length, 1, 'the table, once');

  const kept = join(folder, 'history.jsonl');
  const both = run({ BOARD_HISTORY: kept, GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: summary }, 'pi4,gone');
  t.equal(both.status, 3, 'one of two boards cannot be reached');
  t.match(both.stderr, /::error title=embed-model::gone: EM4010/);
  t.match(
    readFileSync(join(folder, 'board-report', 'junit.xml'), 'utf8'),
    /tests="2" failures="0" errors="1"/,
  );
  t.match(readFileSync(summary, 'utf8'), /no result\*\* from gone/);
  t.equal(readFileSync(kept, 'utf8').split('\n').length, 2, 'a run and the end of its line');

  mkdirSync(join(folder, 'baselines'));
  const [result] = JSON.parse(readFileSync(join(folder, 'board-report', 'result.json'), 'utf8')).results;
  const faster = (ms: readonly number[]) => ms.map((one) => one / 1000);
  const baseline = { ...result, bench: { ...result.bench, tokenMs: result.bench.tokenMs.map(faster) } };
  writeFileSync(join(folder, 'baselines', 'pi4.json'), JSON.stringify({ results: [baseline] }));
  const slower = run();
  t.equal(slower.status, 1, 'a thousand times slower than the baseline');
  t.match(slower.stdout, /REGRESSION/);

  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  symlinkSync(
    encodeOwner({ ...ownLock(bootId, 'cafe'), host: 'elsewhere' }),
    join(sshd.folder, 'board', 'lock'),
  );
  t.equal(run({ BOARD_WAIT: '1s' }).status, 4, 'busy');
  spawnSync('rm', [join(sshd.folder, 'board', 'lock')]);

  editManifest(join(folder, 'bundle'), ({ golden }) => ({
    golden: golden.map((one) => ({ ...one, logitsDigest: '0'.repeat(16) })),
  }));
  const wrong = run({ GITHUB_ACTIONS: 'true' });
  t.equal(wrong.status, 1);
  t.match(wrong.stderr, /::error title=embed-model::pi4: logits/);
  t.match(readFileSync(join(folder, 'board-report', 'junit.xml'), 'utf8'), /<failure/);

  await sshd.stop();
  t.equal(run().status, 3, 'nobody there');
  t.match(readFileSync(join(folder, 'board-report', 'junit.xml'), 'utf8'), /<error message="EM4010/);
  t.notOk(existsSync(join(sshd.folder, 'board', 'lock')));
});
