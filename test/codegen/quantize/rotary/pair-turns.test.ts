import t from 'tap';
import { foldPlaces } from '../../../../codegen/quantize/awq/fold-places.js';
import { pairTurns, turnedRows } from '../../../../codegen/quantize/rotary/pair-turns.js';
import { rotaryPlaces } from '../../../../codegen/quantize/rotary/rotary-places.js';
import { foldsKeepLogits } from '../folds/folds-keep-logits.js';
import { tinyFamilies } from '../folds/tiny-folds.js';
import { randomFloats } from '../random-weights.js';

for (const family of ['llama with shared heads', 'llama without'] as const) {
  t.test(`${family}: any turns, with any scales of channels, leave the logits as they are`, async (t) => {
    foldsKeepLogits(t, tinyFamilies[family], (graph) => [...rotaryPlaces(graph), ...foldPlaces(graph)], 2e-5);
  });
}

t.test('a pair by hand: an eighth of a turn, keys four times as large', async (t) => {
  const place = {
    ...{ name: 'k', channels: 4, headDim: 4, shared: 2, keys: ['k'], queries: ['q'] },
    ...{ keyBuffer: 'k', queryBuffer: 'q', layer: 0 },
  };
  const { keys, queries } = pairTurns(place, Int8Array.of(32, 0, 64, 0));
  const read = (first: number, count: number) => Float32Array.of(3, 10, 1, 20).slice(first, first + count);
  const close = (found: Float32Array, expected: readonly number[]) =>
    t.ok(
      found.length === expected.length && found.every((v, i) => Math.abs(v - expected[i]!) < 1e-6),
      `${found}`,
    );
  close(turnedRows(read, keys, 0, 4), [4 * Math.SQRT2, 10, 8 * Math.SQRT2, 20]);
  close(turnedRows(read, queries, 0, 4), [Math.SQRT2 / 4, 10, Math.SQRT2 / 2, 20]);
});

t.test('rows are the same wherever reading begins', async (t) => {
  const [headDim, heads, width] = [6, 4, 3];
  const rows = randomFloats(heads * headDim * width, 7);
  const read = (first: number, count: number) => rows.subarray(first * width, (first + count) * width);
  const before = rows.slice();
  const steps = Int8Array.from({ length: 2 * headDim }, (_, i) => 9 * i - 50);
  const place = {
    ...{ name: 'k', channels: 2 * headDim, headDim, shared: 2, keys: ['k'], queries: ['q'] },
    ...{ keyBuffer: 'k', queryBuffer: 'q', layer: 0 },
  };
  const { queries } = pairTurns(place, steps);
  const all = turnedRows(read, queries, 0, heads * headDim);
  for (const [first, count] of [
    [0, 1],
    [5, 2],
    [4, 13],
    [23, 1],
    [7, 0],
  ] as const) {
    t.same(turnedRows(read, queries, first, count), all.slice(first * width, (first + count) * width));
  }
  t.same(rows, before, 'what was read is left alone');
});
