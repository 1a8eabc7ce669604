import t from 'tap';
import type { Graph } from '../../../codegen/graph/graph.js';
import { linear } from '../../../codegen/ops/linear.js';
import type { Lowering } from '../../../codegen/ops/op.js';
import { allocateMatrix } from '../../../codegen/quantize/matrix.js';

/** Lowers y = W x for a matrix whose rows have the multiplier 2^30 * 2^-exponent. */
function lowerWith(exponent: number, inFrac: number, outFrac: number) {
  const matrix = allocateMatrix('w', 'w8', 2, 3);
  matrix.mantissas.fill(2 ** 30);
  matrix.exponents.fill(exponent);
  const lowering: Lowering = {
    graph: {} as Graph,
    matrix: () => matrix,
    vector: () => new Float32Array(0),
    fraction: () => outFrac,
    largestInput: () => null,
    formatOf: () => inFrac,
    setFormat: () => {},
  };
  const op = { ...{ name: 'w', matrix: 'w', bias: null, input: 'x', output: 'y' }, range: 'y', gain: 1 };
  return linear.lower({ kind: 'linear', ...op }, lowering);
}

t.test('a row scale too large for the Q formats around it is refused, not clamped', async (t) => {
  t.equal(lowerWith(44, 24, 22).shiftBase, 24 - 22 - 15);
  t.equal(lowerWith(26, 20, 20).shiftBase, -15, 'a shift of 0 at the end of the calibrated range');
  t.throws(() => lowerWith(25, 20, 20), { code: 'EM2006', where: 'w', why: /a shift of -1 bits/ });
  t.throws(() => lowerWith(40, 2, 30), { code: 'EM2006' });
});
