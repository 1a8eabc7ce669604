import t from 'tap';
import {
  compareOutput,
  type OutputComparison,
  sideBySide,
} from '../../../codegen/accept/output-comparison.js';

t.test('where two continuations part', async (t) => {
  const compare = (float: number[], quantized: number[]) =>
    compareOutput({ text: null, ids: [1] }, float, quantized, null);
  t.equal(compare([1, 2, 3], [1, 2, 3]).equalTokens, 3);
  t.equal(compare([1, 2, 3], [1, 4, 3]).equalTokens, 1);
  t.equal(compare([1, 2], [1, 2, 3]).equalTokens, 2, 'one ends earlier');
  t.equal(compare([1, 2, 3], [1, 2]).equalTokens, 2);
  t.equal(compare([], []).equalTokens, 0);
  t.same(compare([7, 7, 7, 7], []).float.repetition, [1 - 1 / 3, 1 - 1 / 2, 0]);
});

t.test('side by side', async (t) => {
  const base = compareOutput({ text: null, ids: [1, 2] }, [5, 6], [5, 6], null);
  const said = (text: string) => ({ ...base.float, text });
  const comparison: OutputComparison = {
    ...{ schemaVersion: 1, model: 'a\u001b[31mb', plan: 'int4', build: { id: '' }, tokens: 4 },
    outputs: [
      base,
      {
        prompt: { text: '  the\n wind ', ids: [1] },
        float: { ...said(`${'x'.repeat(100)} end\u0007`), ids: [5, 6] },
        quantized: { ...said('short'), ids: [5, 7] },
        equalTokens: 1,
      },
    ],
  };
  const text = sideBySide(comparison);
  t.match(text, /1 of 2 continuations are identical/);
  t.match(text, /^1\. 1 2 {3}\(identical\)\n5 6 +\| 5 6$/m, 'ids where there is no text');
  t.match(text, /^2\. the wind {3}\(equal for 1 tokens\)$/m);
  t.notOk(
    text.includes('\u001b') || text.includes('\u0007'),
    'what a model says does not reach the terminal as it is',
  );
  for (const line of text.split('\n')) t.ok(line.length <= 96, line);
  t.match(text, new RegExp(`^${'x'.repeat(46)}  \\| short$`, 'm'), 'words longer than a column are cut');
});
