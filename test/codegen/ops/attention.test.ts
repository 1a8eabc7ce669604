/** Attention against the same formula in float, within the error of docs/arithmetic.md. */
import t from 'tap';
import { queryGain } from '../../../codegen/graph/llama.js';
import { type AttentionOp, attention } from '../../../codegen/ops/attention.js';
import { Vectors } from '../arithmetic/vectors.js';
import { emptyCache, integerState } from './integer-state.js';
import { largestError, real } from './largest-error.js';
import { loweringOf } from './lowering-of.js';

t.test('attention over its int8 keys and values', async (t) => {
  const vectors = new Vectors(14n);
  const [heads, kvHeads, headDim, positions] = [4, 2, 24, 40];
  for (const window of [null, 5]) {
    for (const spread of [0.2, 3]) {
      const [qFrac, kFrac, vFrac] = [26, 20, 22];
      const shape = { layer: 0, heads, kvHeads, headDim, window };
      const op: AttentionOp = {
        kind: 'attention',
        name: 'a',
        query: 'q',
        key: 'k',
        value: 'v',
        output: 'out',
        ...shape,
      };
      const step = attention.lower(op, loweringOf({ formats: { q: qFrac, k: kFrac, v: vFrac } }));
      const cache = emptyCache(positions, kvHeads, headDim);
      let worst = 0;
      for (let position = 0; position < positions; position++) {
        const gain = queryGain(headDim) * spread * 2 ** qFrac;
        const q = Int32Array.from(vectors.int32s(heads * headDim, 20), (v) =>
          Math.round(v * 2 ** -20 * gain),
        );
        const k = vectors.int32s(kvHeads * headDim, 20);
        const v = vectors.int32s(kvHeads * headDim, 23);
        const out = new Int32Array(heads * headDim);
        attention.integer(step, integerState({ buffers: { q, k, v, out }, position, cache }));
        for (let head = 0; head < heads; head++) {
          const expected = floatHead(op, real(q, qFrac), cache, head, position, kFrac, vFrac);
          const own = out.subarray(head * headDim, (head + 1) * headDim);
          worst = Math.max(worst, largestError(own, vFrac, expected, 2)); // values are below 2
        }
      }
      t.ok(
        worst < (spread < 1 ? 3e-4 : 2e-3), // what a query loses grows with the spread of the scores
        `window ${window}, spread ${spread}: ${worst.toExponential(2)} of the values' range`,
      );
      t.ok(worst > 1e-6);
    }
  }
});

/** One head in float from the quantized cache: softmax of base 2 of 127 q . k, times the values. */
function floatHead(
  op: AttentionOp,
  query: Float64Array,
  cache: ReturnType<typeof emptyCache>,
  head: number,
  position: number,
  kFrac: number,
  vFrac: number,
): Float64Array {
  const { heads, kvHeads, headDim, window } = op;
  const first = window === null ? 0 : Math.max(0, position + 1 - window);
  const kvHead = Math.floor(head / (heads / kvHeads));
  const slots = Array.from({ length: position + 1 - first }, (_, j) => (first + j) * kvHeads + kvHead);
  const element = (values: Int8Array, max: Int32Array, slot: number, i: number, frac: number) =>
    (values[slot * headDim + i]! * max[slot]! * 2 ** -frac) / 127;
  const scores = slots.map((slot) => {
    let dot = 0;
    for (let i = 0; i < headDim; i++)
      dot += query[head * headDim + i]! * element(cache.keys, cache.keyMax, slot, i, kFrac);
    return 127 * dot;
  });
  const top = Math.max(...scores);
  const weights = scores.map((s) => 2 ** (s - top));
  const total = weights.reduce((sum, w) => sum + w, 0);
  return Float64Array.from({ length: headDim }, (_, i) =>
    slots.reduce(
      (sum, slot, j) => sum + (weights[j]! / total) * element(cache.values, cache.valueMax, slot, i, vFrac),
      0,
    ),
  );
}
