import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import t, { type Test } from 'tap';
import { projectRoot } from '../codegen/commands/embed-model.js';

const script = join(projectRoot, '.ci', 'run');

/** Runs .ci/run where `npm` is a program that ends like this for `npm test` and for `npm run test:boards`. */
function ciRun(t: Test, test: string, boards: string | undefined) {
  const folder = t.testdir({
    '.ci': {},
    test: boards === undefined ? {} : { boards: {} },
    bin: {
      npm: `#!/bin/sh\ncase "$*" in\n"test --silent -- --lint") ${test};;\n"run --silent test:boards") ${boards};;\n*) exit 9;;\nesac\n`,
    },
  });
  copyFileSync(script, join(folder, '.ci', 'run'));
  chmodSync(join(folder, 'bin', 'npm'), 0o755);
  const env = { ...process.env, PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH}` };
  const { status, stdout } = spawnSync('bash', [join(folder, '.ci', 'run')], { encoding: 'utf8', env });
  return { status, last: stdout.trimEnd().split('\n').at(-1), stdout };
}

const isMissing = process.platform === 'win32' || spawnSync('bash', ['-c', ':']).status !== 0;

t.test('.ci/run adds up the tiers in its last line', { skip: isMissing && 'no bash' }, async (t) => {
  const good = 'echo 5 passed, 0 failed, 2 skipped';
  const both = ciRun(t, good, 'echo 3 passed, 0 failed, 1 skipped');
  t.strictSame([both.status, both.last], [0, '8 passed, 0 failed, 3 skipped']);
  const one = ciRun(t, good, undefined);
  t.strictSame([one.status, one.last], [0, '5 passed, 0 failed, 2 skipped']);
  const failed = ciRun(t, 'echo 4 passed, 1 failed, 0 skipped; exit 1', good);
  t.strictSame([failed.status, failed.last], [1, '9 passed, 1 failed, 2 skipped']);
  const broken = ciRun(t, good, 'echo apt-get: no space left; exit 3');
  t.strictSame([broken.status, broken.last], [1, '5 passed, 1 failed, 2 skipped']);
  t.match(broken.stdout, 'exit code 3 and without its counts');
  const late = ciRun(t, good, 'echo 3 passed, 0 failed, 0 skipped; exit 1');
  t.strictSame([late.status, late.last], [1, '8 passed, 1 failed, 2 skipped']);
});
