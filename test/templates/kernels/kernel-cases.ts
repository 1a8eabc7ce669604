/** Cases for kernel_driver.c with the results of the TypeScript reference. */
import { quantizeVector } from '../../../codegen/arithmetic/activation.js';
import { INT32_MAX, maxMagnitude, scale } from '../../../codegen/arithmetic/fixed.js';
import { exp2Negative, reciprocalSqrt, sigmoid } from '../../../codegen/arithmetic/functions.js';
import { rowsLayout } from '../../../codegen/layout/rows-layout.js';
import { add } from '../../../codegen/ops/add.js';
import { type AttentionOp, attention } from '../../../codegen/ops/attention.js';
import { gatherRow } from '../../../codegen/ops/embed.js';
import { type LinearStep, multiplyQuantized } from '../../../codegen/ops/linear.js';
import { normalizeVector, normEpsilon, type RmsNormStep } from '../../../codegen/ops/rmsnorm.js';
import { rope } from '../../../codegen/ops/rope.js';
import { type SwigluStep, swiglu } from '../../../codegen/ops/swiglu.js';
import { type FormatName, formatNames, formats, groupsPerRow } from '../../../codegen/quantize/format.js';
import { accumulatorShift, type QuantizedMatrix } from '../../../codegen/quantize/matrix.js';
import { Vectors } from '../../codegen/arithmetic/vectors.js';
import { emptyCache, integerState } from '../../codegen/ops/integer-state.js';
import { randomMatrix } from '../../codegen/quantize/random-matrix.js';

export interface KernelCase {
  readonly name: string;
  /** Operation and arguments, as kernel_driver.c reads them. */
  readonly input: readonly number[];
  readonly expected: readonly number[];
}

/** enum operation of kernel_driver.c. */
const operation = {
  scale: 1,
  reciprocalSqrt: 2,
  exp2Negative: 3,
  sigmoid: 4,
  quantize: 5,
  rmsnorm: 6,
  rope: 7,
  swiglu: 8,
  add: 9,
  linearRows: 10,
  gatherRow: 11,
  attend: 12,
} as const;

/** What the driver's outputs hold where nothing was written. */
const UNTOUCHED = 0x5a5a5a5a;

const low = (value: bigint) => Number(BigInt.asIntN(32, value));
const high = (value: bigint) => Number(BigInt.asIntN(32, value >> 32n));
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
    cases.push(ropeCase(vectors, i));
  }
  return cases;
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
  return Array.from({ length: 30 }, (_, i): KernelCase => {
    const columns = [1, 31, 32, 33, 100, 512][i % 6]!;
    const tokens = 1 + (i % 3);
    const values = vectors.activations(columns * tokens, i);
    if (i >= 20) values.set(values.map((v) => v >> (i - 5)));
    const expected: number[] = [];
    for (let token = 0; token < tokens; token++) {
      const row = new Int8Array(Math.ceil(columns / 64) * 64);
      const { mantissa, shift } = quantizeVector(values, token * columns, columns, row, 0);
      const sums = Array.from({ length: groupsPerRow(columns) }, (_, g) =>
        row.subarray(g * 32, (g + 1) * 32).reduce((sum, q) => sum + q, 0),
      );
      expected.push(mantissa, shift, ...row, ...sums);
    }
    const input = [operation.quantize, columns, tokens, ...values];
    return { name: `quantize ${tokens} x ${columns}, case ${i}`, input, expected };
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

/** Format, shape and section of a matrix in layout "rows", as words. */
function matrixWords(matrix: QuantizedMatrix): number[] {
  const section = rowsLayout.pack(matrix);
  const padded = new Uint8Array(Math.ceil(section.length / 4) * 4);
  padded.set(section);
  const { format, rows, columns } = matrix;
  return [formats[format].code, rows, columns, section.length, ...new Int32Array(padded.buffer)];
}

interface LinearSetting {
  readonly matrix: QuantizedMatrix;
  readonly values: Int32Array;
  readonly tokens: number;
  readonly first: number;
  readonly end: number;
  readonly bias: Int32Array | null;
  readonly shiftBase: number;
}

function linearCase(name: string, setting: LinearSetting): KernelCase {
  const { matrix, values, tokens, first, end, bias, shiftBase } = setting;
  const { rows, columns } = matrix;
  const op = {
    kind: 'linear',
    name: '',
    matrix: '',
    bias: null,
    input: '',
    output: '',
    range: '',
    gain: 1,
  } as const;
  const shift = accumulatorShift(matrix);
  const formats = { inFrac: 0, outFrac: 0 };
  const step: LinearStep = {
    kind: 'linear',
    op,
    matrix,
    bias,
    accumulatorShift: shift,
    shiftBase,
    ...formats,
  };
  const expected: number[] = [];
  for (let token = 0; token < tokens; token++) {
    const integers = new Int8Array(columns);
    const tokenScale = quantizeVector(values, token * columns, columns, integers, 0);
    const out = new Int32Array(rows);
    multiplyQuantized(step, { integers, scale: tokenScale }, out);
    expected.push(...out.map((value, row) => (row >= first && row < end ? value : UNTOUCHED)));
  }
  const constants = [shift, shiftBase, first, end, tokens];
  const biasWords = bias === null ? [0] : [1, ...bias];
  const input = [operation.linearRows, ...matrixWords(matrix), ...constants, ...biasWords, ...values];
  return { name: `${name}, accumulator shift ${shift}`, input, expected };
}

/** A shift_base under which results of this matrix are neither all saturated nor all zero. */
function middlingShift(matrix: QuantizedMatrix): number {
  const sumBits = Math.log2(matrix.columns) / 2 + formats[matrix.format].bits + 13 - accumulatorShift(matrix);
  return Math.round(sumBits + 30 - 24 - 40);
}

export function linearCases(): KernelCase[] {
  const vectors = new Vectors(5n);
  const cases: KernelCase[] = [];
  const shapes = [
    [1, 1],
    [3, 33],
    [2, 31],
    [9, 64],
    [5, 100],
    [17, 300],
    [4, 2050],
  ] as const; // rows, columns
  for (const format of formatNames) {
    for (const [i, [rows, columns]] of shapes.entries()) {
      for (const extreme of [false, true]) {
        const matrix = randomMatrix(vectors, { format, rows, columns, extreme });
        const tokens = 1 + (i % 3);
        const values = vectors.activations(tokens * columns, extreme ? 2 + (i % 2) : 0);
        const bias = i % 2 === 0 ? vectors.activations(rows, i) : null;
        const first = rows > 8 && extreme ? 8 : 0;
        const setting = { matrix, values, tokens, first, end: rows, bias, shiftBase: middlingShift(matrix) };
        cases.push(linearCase(`${format} ${rows} x ${columns}${extreme ? ' at the ends' : ''}`, setting));
      }
    }
    cases.push(...gatherCases(vectors, format));
  }
  cases.push(...wideCases(vectors));
  return cases;
}

/** Rows whose accumulator passes 2^31, exponents at their ends, saturation both ways. */
function wideCases(vectors: Vectors): KernelCase[] {
  const cases: KernelCase[] = [];
  for (const [format, columns] of [
    ['w16', 4099],
    ['w6', 4300],
    ['w5', 8500],
    ['w8', 16000],
  ] as const) {
    const matrix = randomMatrix(vectors, { format, rows: 2, columns });
    matrix.integers.fill(formats[format].min);
    matrix.subScales?.fill(-127);
    for (const sign of [1, -1]) {
      const values = new Int32Array(columns).fill(sign * INT32_MAX);
      const setting = { matrix, values, tokens: 1, first: 0, end: 2, bias: null };
      cases.push(
        linearCase(`${format} ${columns} columns of one sign`, {
          ...setting,
          shiftBase: middlingShift(matrix),
        }),
      );
      const bias = new Int32Array(2).fill(sign * INT32_MAX);
      cases.push(linearCase(`${format} saturating`, { ...setting, bias, shiftBase: -40 }));
    }
  }
  for (const exponents of [
    [0, 0],
    [255, 255],
  ] as const) {
    const matrix = randomMatrix(vectors, { format: 'w8', rows: 4, columns: 40, exponents });
    const values = vectors.int32s(40, 31);
    for (const shiftBase of [-60, 0, 40])
      cases.push(
        linearCase(`exponent ${exponents[0]}`, {
          matrix,
          values,
          tokens: 1,
          first: 0,
          end: 4,
          bias: null,
          shiftBase,
        }),
      );
  }
  return cases;
}

function gatherCases(vectors: Vectors, format: FormatName): KernelCase[] {
  return [
    [1, 1],
    [5, 33],
    [6, 96],
    [4, 130],
  ].flatMap(([rows, columns]) => {
    const matrix = randomMatrix(vectors, { format, rows: rows!, columns: columns! });
    return [0, rows! - 1].map((row): KernelCase => {
      const frac = vectors.between(0, 30);
      const out = new Int32Array(columns!);
      gatherRow(matrix, row, frac, out);
      const input = [operation.gatherRow, ...matrixWords(matrix), row, frac];
      return { name: `gather row ${row} of ${format} ${rows} x ${columns}`, input, expected: [...out] };
    });
  });
}

export interface AttentionSetting {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly window: number | null;
  readonly scoreShift: number;
  readonly keys: Int32Array;
  readonly values: Int32Array;
  /** Positions at which all heads ask. */
  readonly asked: readonly number[];
  readonly query: (position: number) => Int32Array;
}

export function attentionCase(name: string, setting: AttentionSetting): KernelCase {
  const { heads, kvHeads, headDim, window, scoreShift, keys, values, asked } = setting;
  const width = kvHeads * headDim;
  const positions = keys.length / width;
  const cache = emptyCache(positions, kvHeads, headDim);
  for (let slot = 0; slot < positions * kvHeads; slot++) {
    quantizeVector(keys, slot * headDim, headDim, cache.keys, slot * headDim);
    quantizeVector(values, slot * headDim, headDim, cache.values, slot * headDim);
    cache.keyMax[slot] = maxMagnitude(keys, slot * headDim, headDim);
    cache.valueMax[slot] = maxMagnitude(values, slot * headDim, headDim);
  }
  const shape = { layer: 0, heads, kvHeads, headDim, window };
  const names = { query: 'q', key: 'k', value: 'v', output: 'out' };
  const op: AttentionOp = { kind: 'attention', name: 'attn', ...names, ...shape };
  const expected: number[] = [];
  const queries: number[] = [];
  for (const position of asked) {
    const q = setting.query(position);
    const at = (source: Int32Array) => source.slice(position * width, (position + 1) * width);
    const buffers = { q, k: at(keys), v: at(values), out: new Int32Array(heads * headDim) };
    attention.integer(
      { kind: 'attention', op, scoreShift, outFrac: 0 },
      integerState({ buffers, position, cache }),
    );
    expected.push(...buffers.out);
    for (let head = 0; head < heads; head++)
      queries.push(head, position, ...q.subarray(head * headDim, (head + 1) * headDim));
  }
  const constants = [scoreShift, heads, kvHeads, headDim, positions, window ?? positions, positions];
  const input = [operation.attend, ...constants, ...keys, ...values, asked.length * heads, ...queries];
  return { name, input, expected };
}
