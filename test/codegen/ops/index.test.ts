/** Every op: what its integers mean against the same formula in float, within the errors of docs/arithmetic.md. */
import t from 'tap';
import { quantizeVector, type TokenScale } from '../../../codegen/arithmetic/activation.js';
import { INT32_MAX, multiplierOf } from '../../../codegen/arithmetic/fixed.js';
import { exactGeluGate } from '../../../codegen/arithmetic/tables.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { queryGain } from '../../../codegen/graph/llama.js';
import { add } from '../../../codegen/ops/add.js';
import { type AttentionOp, attention } from '../../../codegen/ops/attention.js';
import { embed, gatherRow } from '../../../codegen/ops/embed.js';
import { gelu } from '../../../codegen/ops/gelu.js';
import { hadamard, transformRows } from '../../../codegen/ops/hadamard.js';
import { layernorm } from '../../../codegen/ops/layernorm.js';
import { linear, scaleRows } from '../../../codegen/ops/linear.js';
import { neurons } from '../../../codegen/ops/neurons.js';
import type { Lowering } from '../../../codegen/ops/op.js';
import { quantize } from '../../../codegen/ops/quantize.js';
import { residue } from '../../../codegen/ops/residue.js';
import { rmsnorm } from '../../../codegen/ops/rmsnorm.js';
import { rope } from '../../../codegen/ops/rope.js';
import { swiglu } from '../../../codegen/ops/swiglu.js';
import { formatNames } from '../../../codegen/quantize/format.js';
import { dequantizeRow, type QuantizedMatrix } from '../../../codegen/quantize/matrix.js';
import { Vectors } from '../arithmetic/vectors.js';
import { shapeCheckpoint } from '../graph/shape-checkpoint.js';
import { randomMatrix } from '../quantize/random-matrix.js';
import { emptyCache, integerState } from './integer-state.js';

/** What an op is lowered with: Q formats of its inputs, and one for all ranges. */
function loweringOf(parts: {
  formats: Record<string, number>;
  fraction?: number;
  vector?: Float32Array;
  matrix?: QuantizedMatrix;
}): Lowering {
  const formats = new Map(Object.entries(parts.formats));
  return {
    graph: buildGraph(shapeCheckpoint({}), 4),
    matrix: (_, gain = 1) => scaleRows(parts.matrix!, gain),
    vector: () => parts.vector!,
    fraction: () => parts.fraction!,
    formatOf: (buffer) => formats.get(buffer)!,
    setFormat: (buffer, frac) => formats.set(buffer, frac),
  };
}

const real = (values: Int32Array, frac: number) => Float64Array.from(values, (v) => v * 2 ** -frac);

/** Largest difference between integers in a Q format and what they should be, in multiples of `unit`. */
function largestError(found: Int32Array, frac: number, expected: Float64Array, unit: number): number {
  return (
    expected.reduce((max, value, i) => Math.max(max, Math.abs(found[i]! * 2 ** -frac - value)), 0) / unit
  );
}

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

t.test('GELU', async (t) => {
  const vectors = new Vectors(18n);
  for (const form of ['erf', 'tanh'] as const) {
    const op = { kind: 'gelu', name: 'act', form, input: 'up', output: 'h', range: '' } as const;
    const [inFrac, outFrac] = [20, 16];
    const step = gelu.lower(op, loweringOf({ formats: { up: inFrac }, fraction: outFrac }));
    const up = vectors.int32s(4000, 24);
    const h = new Int32Array(4000);
    gelu.integer(step, integerState({ buffers: { up, h } }));
    const x = real(up, inFrac);
    const worst = h.reduce((max, value, i) => {
      const allowed = 1e-5 * Math.abs(x[i]!) + 2 ** -outFrac;
      return Math.max(max, Math.abs(value * 2 ** -outFrac - x[i]! * exactGeluGate(x[i]!, form)) / allowed);
    }, 0);
    t.ok(worst <= 1 && worst > 0.2, `${form}: ${worst.toFixed(3)} of the bound`);
  }
});

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
    quantize.integer({ kind: 'quantize', op: quantizeOp }, state);
    residue.integer({ kind: 'residue', op: residueOp }, state);
    quantize.integer({ kind: 'quantize', op: { ...quantizeOp, input: 'r', output: 'r8' } }, state);
    const value = ({ integers, scale }: typeof token, i: number) =>
      (integers[i]! * scale.mantissa * 2 ** (scale.shift - 15)) / 127;
    const largest = x.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
    const worst = x.reduce((max, v, i) => Math.max(max, Math.abs(value(token, i) + value(rest, i) - v)), 0);
    t.ok(worst <= largest * 2 ** -14 + 1, `${bits} bits: ${(worst / Math.max(1, largest)).toExponential(1)}`);
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
    const gain = 0.75;
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
        worst < 3e-4,
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

t.test('gated activation', async (t) => {
  const vectors = new Vectors(15n);
  const op = { kind: 'swiglu', name: 'act', gate: 'gate', up: 'up', output: 'h', range: '' } as const;
  const [gateFrac, upFrac, outFrac] = [20, 22, 16];
  const step = swiglu.lower(op, loweringOf({ formats: { gate: gateFrac, up: upFrac }, fraction: outFrac }));
  const gate = vectors.int32s(4000, 25);
  const up = vectors.int32s(4000, 24);
  const h = new Int32Array(4000);
  swiglu.integer(step, integerState({ buffers: { gate, up, h } }));
  const [g, u] = [real(gate, gateFrac), real(up, upFrac)];
  const worst = h.reduce((max, value, i) => {
    const expected = (g[i]! / (1 + Math.exp(-g[i]!))) * u[i]!;
    const allowed = 2e-5 * Math.abs(g[i]! * u[i]!) + 2 ** -outFrac;
    return Math.max(max, Math.abs(value * 2 ** -outFrac - expected) / allowed);
  }, 0);
  t.ok(worst <= 1 && worst > 0.2, `${worst.toFixed(3)} of the bound`);
});

t.test('rope turns the pairs (i, i + headDim/2) of every head', async (t) => {
  const op = { kind: 'rope', name: 'r', buffer: 'x', heads: 2, headDim: 4 } as const;
  const [cos, sin] = [Math.round(0.6 * 16384), Math.round(0.8 * 16384)];
  const table = Int16Array.of(0, 0, 0, 0, cos, 16384, sin, 0); // position 1: pair 0 by atan(4/3), pair 1 not at all
  const x = Int32Array.of(1000, 2000, 3000, 4000, -1000, 5, 0, 6);
  rope.integer({ kind: 'rope', op }, integerState({ buffers: { x }, rope: table, position: 1 }));
  t.strictSame([...x], [600 - 2400, 2000, 800 + 1800, 4000, -600, 5, -800, 6]);
});

t.test('residual addition saturates', async (t) => {
  const op = { kind: 'add', name: 'add', input: 'y', output: 'x', range: '' } as const;
  const x = Int32Array.of(1, INT32_MAX, -INT32_MAX, -5);
  const y = Int32Array.of(2, 1, -1, 5);
  add.integer({ kind: 'add', op }, integerState({ buffers: { x, y } }));
  t.strictSame([...x], [3, INT32_MAX, -INT32_MAX, 0]);
  t.strictSame([...y], [2, 1, -1, 5]);
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
    const expected = multiplierOf(matrix.mantissas[0]! * 2 ** -matrix.exponents[0]! * gain);
    t.strictSame([scaled.mantissas[0], scaled.exponents[0]], [expected.mantissa, expected.exponent]);
  }
});
