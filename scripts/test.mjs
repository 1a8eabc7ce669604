// `npm test`: sets up what the tests need, compiles, runs them and ends with the line "N passed, N failed, N skipped", which counts
// assertions. Arguments are parts of the paths of test files; none: all of the tier. --tier=boards and --tier=nightly run the tests
// of that folder, otherwise everything but these runs. With --lint the linter counts as one assertion more.
import { availableParallelism } from 'node:os';
import {
  boardTools,
  buildTool,
  crossCompilers,
  emulators,
  hostCompiler,
  installTools,
  root,
  testTools,
} from './setup.mjs';
import { TestFileRun } from './test-file-run.mjs';
import { testFiles, tiers } from './test-files.mjs';

const args = process.argv.slice(2);
const words = args.filter((arg) => !arg.startsWith('--'));
const tier = args.find((arg) => arg.startsWith('--tier='))?.slice('--tier='.length);
const known = ['--lint', ...tiers.map((name) => `--tier=${name}`)];
const unknown = args.filter((arg) => arg.startsWith('--') && !known.includes(arg));
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(' ')}\nusage: npm test -- [${known.join('] [')}] [WORD...]`);
  process.exit(2);
}

const boards = tier === undefined ? [] : boardTools;
await installTools([...hostCompiler, ...crossCompilers, ...emulators, ...testTools, ...boards]);
buildTool();

const hourSeconds = 3600;
const timeoutSeconds = tier === 'nightly' ? 12 * hourSeconds : hourSeconds / 3;
const run = new TestFileRun({ root, timeoutSeconds, write: console.log });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    run.stop();
    process.exit(130);
  });
}
const names = testFiles(root, tier, words);
await run.run(names, { jobs: Math.min(8, availableParallelism()), lint: args.includes('--lint') });
const { passed, skipped } = run.total;
let { failed } = run.total;
if (names.length === 0) {
  failed += 1;
  const of = words.length === 0 ? '' : ` with one of these in its path: ${words.join(', ')}`;
  console.log(`not ok: no test file in test${tier === undefined ? '' : `/${tier}`}${of}`);
}
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 ? 0 : 1;
