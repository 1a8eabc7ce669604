/** Cases of the fixed-point functions, element-wise ops, quantization and norm, answered by the TypeScript reference. */
import { quantizeClamped, quantizeVector } from '../../../codegen/arithmetic/activation.js';
import { INT32_MAX, scale } from '../../../codegen/arithmetic/fixed.js';
import { exp2Negative, geluGate, reciprocalSqrt, sigmoid } from '../../../codegen/arithmetic/functions.js';
import { add } from '../../../codegen/ops/add.js';
import { type GeluStep, gelu } from '../../../codegen/ops/gelu.js';
import { hadamard } from '../../../codegen/ops/hadamard.js';
import { type LayerNormStep, layerNormVector } from '../../../codegen/ops/layernorm.js';
import { normalizeVector, normEpsilon, type RmsNormStep } from '../../../codegen/ops/rmsnorm.js';
import { rope } from '../../../codegen/ops/rope.js';
import { type SwigluStep, swiglu } from '../../../codegen/ops/swiglu.js';
import { Vectors } from '../../codegen/arithmetic/vectors.js';
import { integerState } from '../../codegen/ops/integer-state.js';
import { high, type KernelCase, low, operation } from './kernel-case.js';

const ends = [0, 1, -1, 2 ** 15, 2 ** 30, INT32_MAX, -INT32_MAX, INT32_MAX - 1];

export function fixedPointCases(): KernelCase[] {
  const vectors = new Vectors(1n);
  const cases: KernelCase[] = [];
  const scaleCase = (a: number, m: number, s: number) =>
    cases.push({
      name: `scale(${a}, ${m}, ${s})`,
      input: [operation.scale, a, m, s],
      expected: [scale(a, m, s)],
    });
  for (const a of ends)
    for (const m of ends)
      for (const s of [-5, 0, 1, 16, 17, 30, 31, 52, 53, 61, 62, 63, 64]) scaleCase(a, m, s);
  for (let i = 0; i < 3000; i++) scaleCase(vectors.int32(), vectors.int32(), vectors.between(-3, 66));

  const rsqrtCase = (total: bigint) => {
    const { mantissa, k } = reciprocalSqrt(total);
    const name = `reciprocal_sqrt(${total})`;
    cases.push({ name, input: [operation.reciprocalSqrt, low(total), high(total)], expected: [mantissa, k] });
  };
  for (let bits = 0n; bits < 62n; bits++) for (const d of [0n, 1n]) rsqrtCase((1n << bits) | d);
  for (let i = 0n; i < 96n; i++) rsqrtCase(((i + 32n) << 55n) + (1n << 55n) - 1n);
  for (let i = 0; i < 1500; i++) rsqrtCase(vectors.uint64(vectors.between(1, 62)) | 1n);

  const exp2Case = (x: number) =>
    cases.push({
      name: `exp2_negative(${x})`,
      input: [operation.exp2Negative, x | 0],
      expected: [exp2Negative(x)],
    });
  for (const x of [0, 1, 65535, 65536, 31 * 65536 - 1, 31 * 65536, 2 ** 31, 2 ** 32 - 2]) exp2Case(x);
  for (let i = 0; i < 3000; i++) exp2Case(vectors.between(0, 32 * 65536));

  const sigmoidCase = (value: number, frac: number) =>
    cases.push({
      name: `sigmoid(${value}, Q${frac})`,
      input: [operation.sigmoid, value, frac],
      expected: [sigmoid(value, frac)],
    });
  for (const value of ends) for (const frac of [0, 14, 15, 16, 30]) sigmoidCase(value, frac);
  for (let i = 0; i < 3000; i++) sigmoidCase(vectors.int32(), vectors.between(0, 30));

  const gateCase = (form: 'erf' | 'tanh', value: number, frac: number) =>
    cases.push({
      name: `gelu_gate(${form}, ${value}, Q${frac})`,
      input: [operation.geluGate, form === 'erf' ? 1 : 0, value, frac],
      expected: [geluGate(value, frac, form)],
    });
  for (const form of ['erf', 'tanh'] as const) {
    for (const value of ends) for (const frac of [0, 14, 15, 16, 30]) gateCase(form, value, frac);
    for (let i = 0; i < 1500; i++) gateCase(form, vectors.int32(), vectors.between(0, 30));
  }
  return cases;
}

export function elementwiseCases(): KernelCase[] {
  const vectors = new Vectors(2n);
  const cases: KernelCase[] = [];
  for (let i = 0; i < 12; i++) {
    const count = [1, 7, 64, 257][i % 4]!;
    const step: SwigluStep = {
      kind: 'swiglu',
      op: { kind: 'swiglu', name: 'act', gate: 'gate', up: 'up', output: 'h', range: '' },
      gateFrac: vectors.between(0, 30),
      outShift: vectors.between(-2, 45),
      outFrac: 0,
    };
    const gate = vectors.activations(count, i);
    const up = vectors.activations(count, i * 5);
    const h = new Int32Array(count);
    swiglu.integer(step, integerState({ buffers: { gate, up, h } }));
    const { gateFrac, outShift } = step;
    const input = [operation.swiglu, gateFrac, outShift, count, ...gate, ...up];
    cases.push({ name: `swiglu ${i}`, input, expected: [...h] });

    const sum = up.slice();
    const op = { kind: 'add', name: 'add', input: 'gate', output: 'sum', range: '' } as const;
    add.integer({ kind: 'add', op }, integerState({ buffers: { gate, sum } }));
    cases.push({ name: `add ${i}`, input: [operation.add, count, ...gate, ...up], expected: [...sum] });
    cases.push(ropeCase(vectors, i), geluCase(vectors, i));
  }
  return cases;
}

/** Rows of the widths that models have, of plausible values and of such as fill an int32. */
export function hadamardCases(): KernelCase[] {
  const vectors = new Vectors(23n);
  const shapes = [
    [4, 2],
    [172, 2],
    [40, 3],
    [48, 4],
    [32, 5],
    [864, 5],
    [2, 1],
  ] as const;
  return Array.from({ length: 28 }, (_, i): KernelCase => {
    const [columns, stages] = shapes[i % shapes.length]!;
    const tokens = 1 + (i % 3);
    const values = vectors.activations(columns * tokens, i);
    if (i >= 21)
      for (let at = 0; at < values.length; at++) values[at] = at % (i - 18) === 0 ? -INT32_MAX : INT32_MAX;
    const expected: number[] = [];
    const op = { kind: 'hadamard', name: 'turn', buffer: 'h', stages } as const;
    for (let first = 0; first < values.length; first += columns) {
      const h = values.slice(first, first + columns);
      hadamard.integer({ kind: 'hadamard', op, outFrac: 0 }, integerState({ buffers: { h } }));
      expected.push(...h);
    }
    const input = [operation.hadamard, columns, stages, tokens, ...values];
    return { name: `hadamard ${tokens} x ${columns}, ${stages} stages, case ${i}`, input, expected };
  });
}

function geluCase(vectors: Vectors, i: number): KernelCase {
  const form = i % 2 === 0 ? 'erf' : 'tanh';
  const input = vectors.activations([1, 7, 64, 257][i % 4]!, i);
  const step: GeluStep = {
    kind: 'gelu',
    op: { kind: 'gelu', name: 'act', form, input: 'up', output: 'h', range: '' },
    inFrac: vectors.between(0, 30),
    outShift: vectors.between(-2, 45),
    outFrac: 0,
  };
  const h = new Int32Array(input.length);
  gelu.integer(step, integerState({ buffers: { up: input, h } }));
  const constants = [form === 'erf' ? 1 : 0, step.inFrac, step.outShift];
  return {
    name: `gelu ${i}`,
    input: [operation.gelu, ...constants, input.length, ...input],
    expected: [...h],
  };
}

function ropeCase(vectors: Vectors, i: number): KernelCase {
  const [heads, headDim, tokens, position] = [
    [1, 2, 1, 0],
    [3, 10, 2, 5],
    [2, 64, 3, 1],
  ][i % 3]!.concat(0);
  const table = Int16Array.from(vectors.int32s((position! + tokens!) * headDim!, 14), (v) =>
    i < 3 ? v : Math.sign(v) * 16384,
  );
  const width = heads! * headDim!;
  const values = vectors.activations(tokens! * width, i);
  const op = { kind: 'rope', name: 'rope', buffer: 'x', heads: heads!, headDim: headDim! } as const;
  const expected: number[] = [];
  for (let token = 0; token < tokens!; token++) {
    const x = values.slice(token * width, (token + 1) * width);
    const state = integerState({ buffers: { x }, rope: table, position: position! + token });
    rope.integer({ kind: 'rope', op }, state);
    expected.push(...x);
  }
  const input = [operation.rope, position!, heads!, headDim!, tokens!, ...table, ...values];
  return { name: `rope of ${heads} heads of ${headDim}, case ${i}`, input, expected };
}

export function quantizeCases(): KernelCase[] {
  const vectors = new Vectors(3n);
  return Array.from({ length: 60 }, (_, i): KernelCase => {
    const columns = [1, 31, 32, 33, 100, 512][i % 6]!;
    const tokens = 1 + (i % 3);
    const values = vectors.activations(columns * tokens, i);
    if (i >= 20) values.set(values.map((v) => v >> Math.max(0, (i % 30) - 5)));
    const largest = i < 30 ? 0 : [1, INT32_MAX, 2 ** 15, vectors.between(1, 2 ** 24)][i % 4]!;
    const expected: number[] = [];
    for (let token = 0; token < tokens; token++) {
      const row = new Int8Array(Math.ceil(columns / 64) * 64);
      const { mantissa, shift } =
        largest === 0
          ? quantizeVector(values, token * columns, columns, row, 0)
          : quantizeClamped(values, token * columns, columns, largest, row, 0);
      expected.push(mantissa, shift, ...row);
    }
    const input = [operation.quantize, largest, columns, tokens, ...values];
    return { name: `quantize ${tokens} x ${columns}, largest ${largest}, case ${i}`, input, expected };
  });
}

export function normCases(): KernelCase[] {
  const vectors = new Vectors(4n);
  const op = { kind: 'rmsnorm', name: 'norm', gains: '', input: '', output: '', range: '', gain: 1 } as const;
  return Array.from({ length: 30 }, (_, i): KernelCase => {
    const width = [1, 2, 16, 17, 192, 8192][i % 6]!;
    const count = width > 1000 ? 1 : 3;
    const values = vectors.activations(width * count, i);
    if (i >= 12) values.set(values.map((v) => v >> vectors.between(0, 30)));
    const step: RmsNormStep = {
      kind: 'rmsnorm',
      op: { ...op, heads: count, epsilon: 0 },
      width,
      gains: vectors.int32s(width, 30),
      ...normEpsilon(width, [0, 1e-5, 1e-6, 1][i % 4]!, vectors.between(0, 30)),
      outShift: vectors.between(25, 55),
      outFrac: 0,
    };
    const out = new Int32Array(values.length);
    for (let v = 0; v < count; v++) normalizeVector(step, values, v * width, out);
    const { epsilon, floorBits, outShift, gains } = step;
    const constants = [low(epsilon), high(epsilon), floorBits, outShift];
    const input = [operation.rmsnorm, ...constants, width, count, ...gains, ...values];
    return { name: `rmsnorm ${count} x ${width}, case ${i}`, input, expected: [...out, ...out] };
  });
}

export function layerNormCases(): KernelCase[] {
  const vectors = new Vectors(8n);
  const op = {
    kind: 'layernorm',
    name: 'norm',
    gains: '',
    bias: null,
    input: '',
    output: '',
    range: '',
  } as const;
  return Array.from({ length: 30 }, (_, i): KernelCase => {
    const width = [1, 2, 16, 17, 192, 8192][i % 6]!;
    const count = width > 1000 ? 1 : 3;
    const values = vectors.activations(width * count, i);
    if (i >= 12) values.set(values.map((v) => v >> vectors.between(0, 30)));
    if (i >= 24) values.set(values.map((v) => (v >> 8) + 0x40000000)); // far from a mean of 0
    const bias = i % 3 === 0 ? null : vectors.activations(width, i);
    const step: LayerNormStep = {
      kind: 'layernorm',
      op: { ...op, epsilon: 0 },
      gains: vectors.int32s(width, 30),
      bias,
      ...normEpsilon(width, [0, 1e-5, 1e-6, 1][i % 4]!, vectors.between(0, 30)),
      outShift: vectors.between(25, 55),
      outFrac: 0,
    };
    const expected: number[] = [];
    for (let v = 0; v < count; v++) {
      const out = new Int32Array(width);
      layerNormVector(step, values.subarray(v * width, (v + 1) * width), out);
      expected.push(...out);
    }
    const { epsilon, floorBits, outShift, gains } = step;
    const constants = [low(epsilon), high(epsilon), floorBits, outShift, bias === null ? 0 : 1];
    const vector = bias ?? new Int32Array(width);
    const input = [operation.layernorm, ...constants, width, count, ...gains, ...vector, ...values];
    return { name: `layernorm ${count} x ${width}, case ${i}`, input, expected };
  });
}
