/** Norms: what their integers mean against the same formula in float, within the errors of docs/arithmetic.md. */
import t from 'tap';
import { layernorm } from '../../../codegen/ops/layernorm.js';
import { rmsnorm } from '../../../codegen/ops/rmsnorm.js';
import { Vectors } from '../arithmetic/vectors.js';
import { integerState } from './integer-state.js';
import { largestError, real } from './largest-error.js';
import { loweringOf } from './lowering-of.js';

t.test('rmsnorm, from vectors that epsilon rules to vectors that fill int32', async (t) => {
  const vectors = new Vectors(11n);
  for (const width of [1, 7, 192]) {
    for (const inFrac of [0, 16, 30]) {
      for (const epsilon of [1e-12, 1e-5, 1]) {
        for (const bits of [0, 1, 5, 12, 24, 31]) {
          const op = {
            kind: 'rmsnorm',
            name: 'norm',
            gains: 'g',
            input: 'x',
            output: 'y',
            heads: 2,
            epsilon,
            range: '',
            gain: 0.5,
          } as const;
          const gains = Float32Array.from({ length: width }, (_, i) => Math.cos(i) * 1.7);
          const x = vectors.int32s(2 * width, bits);
          const outFrac = 24;
          const step = rmsnorm.lower(
            op,
            loweringOf({ formats: { x: inFrac }, fraction: outFrac, vector: gains }),
          );
          const y = new Int32Array(2 * width);
          rmsnorm.integer(step, integerState({ buffers: { x, y } }));
          const expected = new Float64Array(2 * width);
          const input = real(x, inFrac);
          for (const start of [0, width]) {
            const part = input.subarray(start, start + width);
            const factor = 0.5 / Math.sqrt(part.reduce((sum, v) => sum + v * v, 0) / width + epsilon);
            part.forEach((v, i) => {
              expected[start + i] = v * factor * gains[i]!;
            });
          }
          const largest = expected.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
          const error = largestError(y, outFrac, expected, largest * 2 ** -22 + 2 ** -outFrac);
          t.ok(
            error <= 1,
            `width ${width}, Q${inFrac}, epsilon ${epsilon}, ${bits} bits: ${error.toFixed(3)}`,
          );
        }
      }
    }
  }
});

t.test('layer norm, of vectors far from and near to a mean of 0', async (t) => {
  const vectors = new Vectors(17n);
  for (const width of [1, 7, 192]) {
    for (const inFrac of [0, 16, 30]) {
      for (const [bits, offset] of [
        [0, 0],
        [5, 2 ** 20],
        [12, 0],
        [24, -(2 ** 29)],
        [30, 0],
      ] as const) {
        const place = { name: 'norm', gains: 'g', bias: 'g', input: 'x', output: 'y', range: '' };
        const op = { kind: 'layernorm', ...place, epsilon: 1e-5 } as const;
        const vector = Float32Array.from({ length: width }, (_, i) => Math.cos(i) * 1.7);
        const x = Int32Array.from(vectors.int32s(width, bits), (v) => v + offset);
        const outFrac = 24;
        const formats = { x: inFrac };
        const step = layernorm.lower(op, loweringOf({ formats, fraction: outFrac, vector }));
        const y = new Int32Array(width);
        layernorm.integer(step, integerState({ buffers: { x, y } }));
        const input = real(x, inFrac);
        const mean = input.reduce((sum, v) => sum + v, 0) / width;
        const variance = input.reduce((sum, v) => sum + (v - mean) ** 2, 0) / width;
        const factor = 1 / Math.sqrt(variance + 1e-5);
        const expected = input.map((v, i) => (v - mean) * factor * vector[i]! + vector[i]!);
        // The mean is rounded to the input's unit.
        const allowed = 2 ** -20 + 2 ** -outFrac + 2 * factor * 2 ** -inFrac;
        const error = largestError(y, outFrac, expected, allowed);
        t.ok(error <= 1, `width ${width}, Q${inFrac}, ${bits} bits about ${offset}: ${error.toFixed(3)}`);
      }
    }
  }
  const op = {
    kind: 'layernorm',
    name: 'n',
    gains: 'g',
    bias: null,
    input: 'x',
    output: 'y',
    epsilon: 1,
    range: '',
  };
  const unbiased = layernorm.lower(
    op as Parameters<typeof layernorm.lower>[0],
    loweringOf({ formats: { x: 0 }, fraction: 20, vector: Float32Array.of(1, 1) }),
  );
  t.equal(unbiased.bias, null);
});
