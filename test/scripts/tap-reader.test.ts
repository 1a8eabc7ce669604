import { join } from 'node:path';
import t from 'tap';
import { projectRoot } from '../codegen/commands/embed-model.js';

interface TapReader {
  readonly counts: { readonly passed: number; readonly failed: number; readonly skipped: number };
  readonly lines: readonly string[];
  read(line: string): void;
  missing(): string | undefined;
}

const { TapReader } = (await import(join(projectRoot, 'scripts', 'tap-reader.mjs'))) as {
  TapReader: new () => TapReader;
};

function read(text: string): TapReader {
  const reader = new TapReader();
  for (const line of text.split('\n')) reader.read(line);
  return reader;
}

t.test('assertions count, the points that close their subtests do not', async (t) => {
  const reader = read(
    `TAP version 14
# Subtest: outer
    # Subtest: inner
        ok 1 - a
        ok 2 - b
        1..2
    ok 1 - inner # time=1.5ms
    ok 2 - c
    1..2
ok 1 - outer # time=15.605ms
ok 2 - d
1..2
# { total: 4, pass: 4 }`,
  );
  t.strictSame(reader.counts, { passed: 4, failed: 0, skipped: 0 });
  t.strictSame(reader.lines, []);
  t.equal(reader.missing(), undefined);
});

t.test('a failure shows its path and its diagnostics, and counts once', async (t) => {
  const reader = read(
    `# Subtest: outer
    not ok 1 - bad
      ---
      diff: |
        ok 7 - not a point
        # Subtest: nor this
      ...
    
    ok 2 - good
    1..2
not ok 1 - outer # time=15.605ms
  ---
  at: here
  ...

1..1`,
  );
  t.strictSame(reader.counts, { passed: 1, failed: 1, skipped: 0 });
  t.equal(reader.lines[0], '       not ok: outer > bad');
  t.ok(reader.lines.some((line) => line.includes('ok 7 - not a point')));
  t.notOk(reader.lines.some((line) => line.includes('at: here')));
});

t.test('a subtest that fails by itself is a failure: a time-out, a wrong plan', async (t) => {
  const reader = read('# Subtest: outer\n    ok 1 - a\nnot ok 1 - outer # time=900000ms\n1..1');
  t.strictSame(reader.counts, { passed: 1, failed: 1, skipped: 0 });
  t.strictSame(reader.lines, ['       not ok: outer']);
});

t.test('what is skipped or to be done is named with its reason', async (t) => {
  const reader = read(
    'ok 1 - with the board # SKIP no board\nnot ok 2 - later # TODO wanted\nok 3 - plain # SKIP\n1..3',
  );
  t.strictSame(reader.counts, { passed: 0, failed: 0, skipped: 3 });
  t.match(reader.lines[0], 'skipped: with the board (no board)');
  t.equal(reader.missing(), undefined);
  const whole = read('TAP version 14\n1..0 # SKIP no qemu');
  t.strictSame(whole.counts, { passed: 0, failed: 0, skipped: 1 });
  t.match(whole.lines[0], 'the whole file (no qemu)');
  t.equal(whole.missing(), undefined);
});

t.test('what a file says that did not come to its end', async (t) => {
  t.equal(read('').missing(), 'no tests in this file');
  t.equal(read('TAP version 14\nok 1 - a').missing(), 'the output ends before the plan');
  t.equal(read('1..2\nok 1 - a').missing(), '1 of 2 tests of this file ran');
  t.strictSame(read('ok 1 - a\nBail out! disk full').counts, { passed: 1, failed: 1, skipped: 0 });
});
