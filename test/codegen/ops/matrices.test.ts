/** Matrix ops against exact products: linear, embeddings, positions, row multipliers, quantization. */
import t from 'tap';
import { quantizeVector, type TokenScale } from '../../../codegen/arithmetic/activation.js';
import { INT32_MAX } from '../../../codegen/arithmetic/fixed.js';
import { queryGain } from '../../../codegen/graph/llama.js';
import { embed, gatherRow } from '../../../codegen/ops/embed.js';
import { linear } from '../../../codegen/ops/linear.js';
import { quantize } from '../../../codegen/ops/quantize.js';
import { formatNames } from '../../../codegen/quantize/format.js';
import { dequantizeRow } from '../../../codegen/quantize/matrix.js';
import { rowMultiplierOf } from '../../../codegen/quantize/row-scale.js';
import { Vectors } from '../arithmetic/vectors.js';
import { randomMatrix } from '../quantize/random-matrix.js';
import { integerState } from './integer-state.js';
import { largestError } from './largest-error.js';
import { loweringOf } from './lowering-of.js';

t.test('a row of positions is that of the position', async (t) => {
  const matrix = randomMatrix(new Vectors(19n), { format: 'w8', rows: 4, columns: 5, exponents: [42, 46] });
  for (const index of ['token', 'position'] as const) {
    const op = { kind: 'embed', name: 'p', index, matrix: 'm', output: 'x', range: '' } as const;
    const x = new Int32Array(5);
    const expected = new Int32Array(5);
    embed.integer(
      { kind: 'embed', op, matrix, outFrac: 18 },
      integerState({ buffers: { x }, position: 2, id: 1 }),
    );
    gatherRow(matrix, index === 'token' ? 1 : 2, 18, expected);
    t.strictSame(x, expected, index);
  }
});

t.test('linear, every format', async (t) => {
  const vectors = new Vectors(12n);
  for (const format of formatNames) {
    const [rows, columns, inFrac, outFrac] = [9, 75, 20, 12];
    const matrix = randomMatrix(vectors, { format, rows, columns, exponents: [44, 46] });
    const x = vectors.int32s(columns, 26);
    const integers = new Int8Array(columns);
    const scale = quantizeVector(x, 0, columns, integers, 0);
    const vector = Float32Array.from({ length: rows }, (_, i) => Math.sin(i) * 3);
    const gain = 0.5; // a power of two: no mantissa is rounded
    const op = {
      kind: 'linear',
      name: 'l',
      matrix: 'm',
      bias: 'b',
      input: 'x8',
      output: 'y',
      range: '',
      gain,
    } as const;
    const step = linear.lower(op, loweringOf({ formats: { x8: inFrac }, fraction: outFrac, vector, matrix }));
    const y = new Int32Array(rows);
    linear.integer(step, integerState({ buffers: { y }, quantized: { x8: { integers, scale } } }));

    const token = integers.reduce<number[]>(
      (all, q) => all.concat((q * scale.mantissa * 2 ** (scale.shift - 15 - inFrac)) / 127),
      [],
    );
    const weights = new Float32Array(columns);
    const expected = Float64Array.from({ length: rows }, (_, row) => {
      dequantizeRow(matrix, row, weights);
      return gain * (weights.reduce((sum, w, c) => sum + w * token[c]!, 0) + vector[row]!);
    });
    const largest = expected.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
    t.ok(largest > 100 && largest < INT32_MAX * 2 ** -outFrac, `${format}: results up to ${largest}`);
    const error = largestError(y, outFrac, expected, 2 ** -outFrac + largest * 2 ** -24);
    t.ok(error <= 1, `${format}: ${error.toFixed(3)}`);
  }
});

t.test('embedding rows', async (t) => {
  const vectors = new Vectors(13n);
  for (const format of formatNames) {
    const matrix = randomMatrix(vectors, { format, rows: 4, columns: 50, exponents: [42, 46] });
    for (let row = 0; row < 4; row++) {
      const out = new Int32Array(50);
      gatherRow(matrix, row, 18, out);
      const expected = new Float32Array(50);
      dequantizeRow(matrix, row, expected);
      const largest = expected.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
      const error = largestError(out, 18, Float64Array.from(expected), 2 ** -19 + largest * 2 ** -23);
      t.ok(error <= 1 && (row === 3) === (largest === 0), `${format} row ${row}: ${error.toFixed(3)}`);
    }
  }
});

t.test('quantize keeps the format of its input', async (t) => {
  const op = { kind: 'quantize', name: 'q', input: 'x', output: 'x8' } as const;
  const lowering = loweringOf({ formats: { x: 17 } });
  const step = quantize.lower(op, lowering);
  t.equal(lowering.formatOf('x8'), 17);
  const token = { integers: new Int8Array(3), scale: { mantissa: 0, shift: 0 } as TokenScale };
  quantize.integer(
    step,
    integerState({ buffers: { x: Int32Array.of(64, -32, 0) }, quantized: { x8: token } }),
  );
  t.strictSame([...token.integers], [127, -63, 0], '-63.5 rounds up');
  t.strictSame(token.scale, { mantissa: 2 ** 29, shift: 7 - 15 });
});

t.test(
  'quantize with a fixed scale: the same for every token, and what is beyond it is clipped',
  async (t) => {
    const op = { kind: 'quantize', name: 'q', input: 'x', output: 'x8' } as const;
    const step = quantize.lower(op, loweringOf({ formats: { x: 4 }, largestInput: 4 }));
    t.equal(step.largest, 64);
    const run = (...values: number[]) => {
      const token = { integers: new Int8Array(3), scale: { mantissa: 0, shift: 0 } as TokenScale };
      quantize.integer(
        step,
        integerState({ buffers: { x: Int32Array.from(values) }, quantized: { x8: token } }),
      );
      return token;
    };
    const scale = { mantissa: 2 ** 29, shift: 7 - 15 };
    t.strictSame(run(64, -32, 0), { integers: Int8Array.of(127, -63, 0), scale });
    t.strictSame(run(1, 2, 3), { integers: Int8Array.of(2, 4, 6), scale });
    t.strictSame(run(65, -INT32_MAX, INT32_MAX), { integers: Int8Array.of(127, -127, 127), scale });
    t.equal(quantize.lower(op, loweringOf({ formats: { x: 4 }, largestInput: 0 })).largest, 1, 'never 0');
    const { constants } = quantize;
    t.equal(constants(quantize.lower(op, loweringOf({ formats: { x: 4 } })), { offset: () => '' }), null);
    t.same(constants(step, { offset: () => '' })?.fields, [{ name: 'largest', value: '64' }]);
  },
);

t.test('row multipliers take any gain that a model has', async (t) => {
  const matrix = randomMatrix(new Vectors(16n), { format: 'w8', rows: 2, columns: 3, exponents: [30, 40] });
  for (const headDim of [2, 64, 256]) {
    const gain = queryGain(headDim);
    const op = {
      kind: 'linear',
      name: 'l',
      matrix: 'm',
      bias: null,
      input: 'x',
      output: 'y',
      range: '',
      gain,
    } as const;
    const { matrix: scaled } = linear.lower(op, loweringOf({ formats: { x: 3 }, fraction: 4, matrix }));
    const expected = rowMultiplierOf(matrix.mantissas[0]! * 2 ** -matrix.exponents[0]! * gain);
    t.strictSame([scaled.mantissas[0], scaled.exponents[0]], [expected.mantissa, expected.exponent]);
  }
});
