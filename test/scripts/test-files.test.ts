import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { projectRoot } from '../codegen/commands/embed-model.js';

const { testFiles, tiers } = (await import(join(projectRoot, 'scripts', 'test-files.mjs'))) as {
  testFiles: (root: string, tier: string | undefined, words: readonly string[]) => string[];
  tiers: readonly string[];
};

t.test('every tier has the tests of its folder, and npm test all others', async (t) => {
  const empty = '';
  const root = t.testdir({
    test: {
      boards: { 'ssh.test.ts': empty, 'sshd.ts': empty },
      nightly: { deep: { 'fuzz.test.ts': empty } },
      codegen: { 'boards.test.ts': empty, 'emit.test.ts': empty },
      data: { 'text.txt': empty },
    },
  });
  const of = (tier: string | undefined, ...words: string[]) => testFiles(root, tier, words);
  t.strictSame(of(undefined), ['test/codegen/emit.test.ts', 'test/codegen/boards.test.ts']);
  t.strictSame(of('boards'), ['test/boards/ssh.test.ts']);
  t.strictSame(of('nightly'), ['test/nightly/deep/fuzz.test.ts']);
  t.strictSame(of(undefined, 'emit', 'nothing'), ['test/codegen/emit.test.ts']);
  t.strictSame(of(undefined, 'ssh'), []);
  t.strictSame(testFiles(t.testdir({ test: {} }), 'boards', []), []);
});

t.test('the tiers together are all tests there are', async (t) => {
  const all = readdirSync(join(projectRoot, 'test'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.test.ts'),
  );
  const selected = [undefined, ...tiers].flatMap((tier) => testFiles(projectRoot, tier, []));
  t.equal(selected.length, all.length);
  t.equal(new Set(selected).size, all.length);
});
