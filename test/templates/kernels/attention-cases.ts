/** Cases of attention over an int8 KV cache, answered by the TypeScript reference. */
import { quantizeVector } from '../../../codegen/arithmetic/activation.js';
import { INT32_MAX, maxMagnitude } from '../../../codegen/arithmetic/fixed.js';
import { type AttentionOp, attention } from '../../../codegen/ops/attention.js';
import { Vectors } from '../../codegen/arithmetic/vectors.js';
import { emptyCache, integerState } from '../../codegen/ops/integer-state.js';
import { type KernelCase, operation } from './kernel-case.js';

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
  const constants = [scoreShift, heads, kvHeads, headDim, window ?? positions, positions];
  const input = [operation.attend, ...constants, ...keys, ...values, asked.length * heads, ...queries];
  return { name, input, expected };
}

/** Settings of one shape with drawn vectors; a score of the drawn magnitudes spreads over some units of Q16. */
function drawn(
  vectors: Vectors,
  shape: Pick<AttentionSetting, 'heads' | 'kvHeads' | 'headDim' | 'window'>,
  positions: number,
  asked: readonly number[],
): AttentionSetting {
  const count = positions * shape.kvHeads * shape.headDim;
  return {
    ...shape,
    scoreShift: 30,
    keys: vectors.int32s(count, 24),
    values: vectors.int32s(count, 28),
    asked,
    query: () => vectors.int32s(shape.heads * shape.headDim, 14),
  };
}

/** Zero vectors, vectors at the ends of int32, equal and far apart scores. */
function boundaryCases(vectors: Vectors): KernelCase[] {
  const shape = { heads: 2, kvHeads: 1, headDim: 8, window: null };
  const base = drawn(vectors, shape, 30, [0, 29]);
  const holes = (values: Int32Array) => values.map((v, i) => (Math.floor(i / 8) % 3 === 0 ? 0 : v));
  const ends = base.keys.map((v) => (v < 0 ? -INT32_MAX : INT32_MAX));
  const none = new Int32Array(base.keys.length);
  return [
    attentionCase('zero keys and values among others', {
      ...base,
      keys: holes(base.keys),
      values: holes(base.values),
    }),
    attentionCase('zero values', { ...base, values: none }),
    attentionCase('zero keys', { ...base, keys: none }),
    attentionCase('zero queries', { ...base, query: () => new Int32Array(16) }),
    attentionCase('vectors at the ends', {
      ...base,
      keys: ends,
      values: ends,
      query: () => vectors.activations(16, 3),
    }),
    ...[-40, 0, 12, 20, 45, 63].map((scoreShift) =>
      attentionCase(`score shift ${scoreShift}`, { ...base, scoreShift, values: holes(base.values) }),
    ),
  ];
}

/**
 * 8257 equal scores whose weights add up to (2^35 - 1) / 127: 8256 of 32767 and one of 24769. With every value at 127 the sum
 * is 2^35 - 1, which rounds to 2^31 when 4 bits are dropped: the one place where the sum saturates.
 */
function sumAtItsBound(): KernelCase {
  const positions = 8257;
  const values = new Int32Array(positions * 2);
  for (let i = 0; i < positions; i++) values[2 * i] = INT32_MAX;
  values[0] = Math.round((24769 * 2 ** 31) / 32767);
  const keys = values.map(() => 1000);
  const query = () => Int32Array.of(5, -5);
  const shape = { heads: 1, kvHeads: 1, headDim: 2, window: null, scoreShift: 30 };
  return attentionCase('sum at its bound', { ...shape, keys, values, asked: [positions - 1], query });
}

/**
 * Heads of one size, with spans that begin and end at every place of a block of eight positions and around the ends of one
 * of 24, and values large enough for every bit of the sums.
 */
export function headCases(headDim: number): KernelCase[] {
  const vectors = new Vectors(BigInt(headDim));
  const shape = { heads: 2, kvHeads: 1, headDim };
  const asked = [0, 1, 2, 3, 4, 5, 6, 7, 8, 13, 17, 22, 23, 24, 25, 26, 31, 46, 47, 48, 51];
  return [null, 1, 3, 8, 13, 30].flatMap((window) => {
    const setting = drawn(vectors, { ...shape, window }, 52, asked);
    const ends = setting.keys.map((v) => (v < 0 ? -INT32_MAX : INT32_MAX));
    const name = `heads of ${headDim}, every span, window ${window}`;
    return [
      attentionCase(name, setting),
      attentionCase(`${name}, values at the ends`, { ...setting, values: ends, scoreShift: 45 }),
    ];
  });
}

/**
 * Queries at the bounds of a run, 32 elements: rounded up, their magnitudes add up to 2^13 + 15, and keys of one sign take all of
 * that; one element alone has 2^11.
 */
function queriesAtTheirBounds(vectors: Vectors, headDim: number): KernelCase[] {
  const shape = { heads: 1, kvHeads: 1, headDim, window: null };
  const base = drawn(vectors, shape, 50, [0, 5, 23, 24, 47, 49]);
  const keys = base.keys.map((_, i) => (Math.floor(i / headDim) % 3 === 1 ? -(1 << 20) : 1 << 20));
  const settings = { ...base, keys, scoreShift: 24 };
  const full = Int32Array.from({ length: headDim }, (_, i) => (i % 32 < 15 ? 513 : 511)); // 256.5 and 255.5
  return [
    attentionCase(`runs at their bound, heads of ${headDim}`, { ...settings, query: () => full }),
    attentionCase(`runs at their bound below 0, heads of ${headDim}`, {
      ...settings,
      query: () => full.map((v) => -v),
    }),
    attentionCase(`a run larger than the others, heads of ${headDim}`, {
      ...settings,
      query: () => full.map((v, i) => (i < 32 ? v : Math.sign(v) * (i % 3))),
    }),
    attentionCase(`one element, heads of ${headDim}`, {
      ...settings,
      query: () => full.map((_, i) => (i === headDim - 1 ? INT32_MAX : 0)),
    }),
  ];
}

export function attentionCases(): KernelCase[] {
  const vectors = new Vectors(6n);
  const shapes = [
    [1, 1, 2],
    [4, 2, 16],
    [3, 3, 64],
    [2, 1, 66],
    [2, 1, 80],
    [6, 2, 100],
    [1, 1, 256],
  ] as const;
  const cases = shapes.flatMap(([heads, kvHeads, headDim]) =>
    [null, 1, 7].map((window) =>
      attentionCase(
        `${heads} heads of ${headDim}, ${kvHeads} shared, window ${window}`,
        drawn(vectors, { heads, kvHeads, headDim, window }, 24, [0, 1, 7, 23]),
      ),
    ),
  );
  const long = { heads: 1, kvHeads: 1, headDim: 10, window: null };
  cases.push(attentionCase('1300 positions', drawn(vectors, long, 1300, [510, 511, 512, 1023, 1024, 1299])));
  const flat = { ...drawn(vectors, long, 1300, [600, 1299]), query: () => new Int32Array(10) };
  cases.push(attentionCase('1300 equal scores', { ...flat, values: flat.values.map(() => INT32_MAX) }));
  cases.push(
    attentionCase('window of 600', drawn(vectors, { ...long, window: 600 }, 1300, [599, 600, 1299])),
  );
  const sizes = [1, 2, 3, 7, 8, 9, 15, 17, 32, 63, 65, 71, 96, 129, 255, 256].flatMap(headCases);
  const bounds = [8, 32, 40, 64, 128, 256].flatMap((headDim) => queriesAtTheirBounds(vectors, headDim));
  return [...cases, ...sizes, ...bounds, ...boundaryCases(vectors), sumAtItsBound()];
}
