/** The Hadamard transform before a matrix against its float meaning. */
import t from 'tap';
import { INT32_MAX } from '../../../codegen/arithmetic/fixed.js';
import { hadamard, transformRows } from '../../../codegen/ops/hadamard.js';
import { Vectors } from '../arithmetic/vectors.js';
import { integerState } from './integer-state.js';
import { largestError, real } from './largest-error.js';
import { loweringOf } from './lowering-of.js';

t.test('hadamard: the float meaning, its own inverse, and no sum that overflows', async (t) => {
  const vectors = new Vectors(25n);
  for (const [width, stages] of [
    [4, 2],
    [172, 2],
    [96, 5],
  ] as const) {
    const op = { kind: 'hadamard', name: 'turn', buffer: 'h', stages } as const;
    const lowering = loweringOf({ formats: { h: 20 } });
    const step = hadamard.lower(op, lowering);
    t.equal(lowering.formatOf('h'), 20 - stages - 1);
    const h = vectors.int32s(width, 26);
    const input = real(h, 20);
    hadamard.integer(step, integerState({ buffers: { h } }));
    // Entry (i, j) of H is -1 to the number of common bits; values of a block are width / 2^stages apart.
    const apart = width / 2 ** stages;
    const expected = Float64Array.from({ length: width }, (_, i) => {
      const sign = (j: number) =>
        (-1) ** [...(Math.floor(i / apart) & j).toString(2)].filter((b) => b === '1').length;
      let sum = 0;
      for (let j = 0; j < 2 ** stages; j++) sum += sign(j) * input[j * apart + (i % apart)]!;
      return sum;
    });
    const error = largestError(h, step.outFrac, expected, 1);
    t.ok(error <= 2 ** (stages - 1) * 2 ** -step.outFrac, `${width} values: ${error}`); // halves of a unit, 2^stages of them

    const twice = Float32Array.from(input);
    transformRows(twice, width, stages);
    transformRows(twice, width, stages);
    t.ok(
      twice.every((v, i) => Math.abs(v / 2 ** stages - input[i]!) < 1e-4),
      'twice is 2^stages times once',
    );
  }
  const full = new Int32Array(64).map((_, i) => (i % 3 === 0 ? -INT32_MAX : INT32_MAX));
  const same = new Int32Array(64).fill(INT32_MAX);
  for (const h of [full, same]) {
    const op = { kind: 'hadamard', name: 'turn', buffer: 'h', stages: 5 } as const;
    const exact = Float64Array.from(h, (v) => Math.round(v / 64));
    hadamard.integer({ kind: 'hadamard', op, outFrac: 0 }, integerState({ buffers: { h } }));
    const sum = (parity: number) => exact.reduce((total, v, i) => (i % 2 === parity ? total + v : total), 0);
    t.same([h[0], h[1]], [sum(0), sum(1)], 'sums of the largest values are exact');
  }
});
