/** The neuron field against the same formula in float, and what int8 leaves of its input. */
import t from 'tap';
import type { TokenScale } from '../../../codegen/arithmetic/activation.js';
import { neurons } from '../../../codegen/ops/neurons.js';
import { quantize } from '../../../codegen/ops/quantize.js';
import { residue } from '../../../codegen/ops/residue.js';
import { dequantizeRow } from '../../../codegen/quantize/matrix.js';
import { Vectors } from '../arithmetic/vectors.js';
import { randomMatrix } from '../quantize/random-matrix.js';
import { integerState } from './integer-state.js';
import { largestError, real } from './largest-error.js';
import { loweringOf } from './lowering-of.js';

t.test('weights of neurons, near ones, far ones and epsilon', async (t) => {
  const vectors = new Vectors(22n);
  const [count, width, inFrac, dotsFrac] = [9, 33, 24, 21];
  for (const [radius, temperature] of [
    [0.02, 0.05],
    [0.3, 0.4],
    [2, 0.5],
    [6, 0.01],
  ] as const) {
    const matrix = randomMatrix(vectors, { format: 'w16', rows: count, columns: width, exponents: [52, 52] });
    const row = new Float32Array(width);
    dequantizeRow(matrix, 3, row);
    // A point at some distance from neuron 3.
    const x = Int32Array.from(row, (p, i) =>
      Math.round((p + (radius * Math.cos(i)) / Math.sqrt(width)) * 2 ** inFrac),
    );
    const input = real(x, inFrac);
    const temperatures = Float32Array.from(
      { length: count },
      (_, n) => (n % 2 ? temperature : -temperature) * (1 + n / 9),
    );
    const positions = Array.from({ length: count }, (_, n) => {
      dequantizeRow(matrix, n, row);
      return Float64Array.from(row);
    });
    const dots = Int32Array.from(positions, (p) =>
      Math.round(p.reduce((sum, v, i) => sum + v * input[i]!, 0) * 2 ** dotsFrac),
    );
    const op = {
      kind: 'neurons',
      ...{ name: 'field', input: 'n', dots: 'dots', output: 'w', positions: 'p', temperatures: 't' },
      ...{ temperatureFloor: 0.1, epsilon: 1e-8, range: '' },
    } as const;
    const lowering = loweringOf({ formats: { n: inFrac, dots: dotsFrac }, vector: temperatures, matrix });
    const step = neurons.lower(op, lowering);
    t.equal(lowering.formatOf('w'), 30);
    const w = new Int32Array(count);
    neurons.integer(step, integerState({ buffers: { n: x, dots, w } }));
    const raw = positions.map((p, n) => {
      const distance = Math.hypot(...p.map((v, i) => v - input[i]!));
      return Math.exp(-distance / (Math.abs(temperatures[n]!) + 0.1));
    });
    const total = raw.reduce((sum, v) => sum + v, 1e-8);
    const expected = Float64Array.from(raw, (v) => v / total);
    const error = largestError(w, 30, expected, 1);
    t.ok(error < 6e-4, `radius ${radius}, temperature ${temperature}: ${error.toExponential(2)}`);
    const sum = expected.reduce((a, b) => a + b, 0);
    t.ok(Math.abs(real(w, 30).reduce((a, b) => a + b, 0) - sum) < 1e-3, `weights sum to ${sum.toFixed(3)}`);
  }
});

t.test('an activation and what int8 leaves of it', async (t) => {
  const vectors = new Vectors(23n);
  for (const bits of [0, 3, 14, 15, 24, 31]) {
    const x = vectors.int32s(100, bits);
    const token = { integers: new Int8Array(100), scale: { mantissa: 0, shift: 0 } as TokenScale };
    const rest = { integers: new Int8Array(100), scale: { mantissa: 0, shift: 0 } as TokenScale };
    const r = new Int32Array(100);
    const quantizeOp = { kind: 'quantize', name: 'q', input: 'x', output: 'x8' } as const;
    const residueOp = { kind: 'residue', name: 'r', input: 'x', quantized: 'x8', output: 'r' } as const;
    const state = integerState({ buffers: { x, r }, quantized: { x8: token, r8: rest } });
    quantize.integer({ kind: 'quantize', op: quantizeOp, largest: null }, state);
    residue.integer({ kind: 'residue', op: residueOp }, state);
    quantize.integer(
      { kind: 'quantize', op: { ...quantizeOp, input: 'r', output: 'r8' }, largest: null },
      state,
    );
    const value = ({ integers, scale }: typeof token, i: number) =>
      (integers[i]! * scale.mantissa * 2 ** (scale.shift - 15)) / 127;
    const largest = x.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
    const worst = x.reduce((max, v, i) => Math.max(max, Math.abs(value(token, i) + value(rest, i) - v)), 0);
    t.ok(worst <= largest * 2 ** -14 + 1, `${bits} bits: ${(worst / Math.max(1, largest)).toExponential(1)}`);
  }
});
