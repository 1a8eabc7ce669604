/**
 * Differential fuzzing: shapes, formats, splits into tasks and values drawn from a seed, answered by the TypeScript reference. A
 * seed gives the same cases on every machine; the name of a case says how to draw it again.
 */
import { INT32_MAX } from '../../../codegen/arithmetic/fixed.js';
import type { KernelSet } from '../../../codegen/layout/kernel-set.js';
import { formatNames } from '../../../codegen/quantize/format.js';
import type { QuantizedMatrix } from '../../../codegen/quantize/matrix.js';
import { Vectors } from '../../codegen/arithmetic/vectors.js';
import { randomMatrix } from '../../codegen/quantize/random-matrix.js';
import { attentionCase } from './attention-cases.js';
import type { KernelCase } from './kernel-case.js';
import { gatherCase, linearCase, middlingShift, ROW_TILES } from './linear-cases.js';

const oneOf = <T>(vectors: Vectors, choices: readonly T[]): T =>
  choices[vectors.between(0, choices.length - 1)]!;

/** Around multiples of the sizes that kernels work in, small ones, and any. */
function drawRows(vectors: Vectors): number {
  return oneOf(vectors, [
    1,
    vectors.between(2, 9),
    Math.max(1, 16 * vectors.between(1, 5) + vectors.between(-1, 1)),
    vectors.between(1, 130),
  ]);
}

function drawColumns(vectors: Vectors): number {
  return oneOf(vectors, [
    1,
    vectors.between(2, 31),
    32 * vectors.between(1, 9) + vectors.between(-1, 1),
    vectors.between(1, 400),
  ]);
}

/** A few rows, beyond what accumulators and kept sums of some kernels hold; or any shape of moderate size. */
function drawShape(vectors: Vectors): { rows: number; columns: number } {
  if (vectors.between(0, 11) === 0)
    return { rows: vectors.between(1, 3), columns: vectors.between(900, 4600) };
  return { rows: drawRows(vectors), columns: drawColumns(vectors) };
}

/** Drawn integers, drawn ends of their ranges, or the same end everywhere: the largest sums there are. */
function drawMatrix(vectors: Vectors): QuantizedMatrix {
  const format = oneOf(vectors, formatNames);
  const exponents = vectors.between(0, 7) === 0 ? ([0, 255] as const) : ([38, 42] as const);
  const matrix = randomMatrix(vectors, {
    ...drawShape(vectors),
    format,
    extreme: vectors.between(0, 2) === 0,
    exponents,
  });
  if (vectors.between(0, 5) === 0) {
    matrix.integers.fill(matrix.integers[0]!);
    matrix.subScales?.fill(oneOf(vectors, [-127, 127]));
  }
  return matrix;
}

/** em_linear's tasks for a number of threads: runs of whole tiles, the last one ragged. */
function drawTasks(vectors: Vectors, rows: number): [first: number, end: number][] {
  const tiles = Math.ceil(rows / ROW_TILES);
  const each = Math.ceil(tiles / vectors.between(1, 5)) * ROW_TILES;
  return Array.from({ length: Math.ceil(rows / each) }, (_, i) => [i * each, Math.min(rows, (i + 1) * each)]);
}

/** One matrix: products of some tokens, task by task, and a row of it as an embedding. */
function drawLinear(kernels: KernelSet, vectors: Vectors, label: string): KernelCase[] {
  const matrix = drawMatrix(vectors);
  const { format, rows, columns } = matrix;
  const tokens = columns > 800 ? vectors.between(1, 2) : oneOf(vectors, [1, 1, 2, 3, 4, 5, 8, 33]);
  const values = vectors.activations(tokens * columns, vectors.between(0, 5));
  if (vectors.between(0, 3) === 0) values[vectors.between(0, values.length - 1)] = -INT32_MAX;
  const bias = vectors.between(0, 1) === 0 ? vectors.activations(rows, vectors.between(0, 5)) : null;
  const away = vectors.between(0, 9) === 0 ? 90 : 6;
  const shiftBase = middlingShift(matrix) + vectors.between(-away, away);
  const setting = { kernels, matrix, values, tokens, bias, shiftBase };
  const name = `${label}: ${format} ${rows} x ${columns}, ${tokens} tokens`;
  const products = drawTasks(vectors, rows).map(([first, end]) =>
    linearCase(`${name}, rows ${first} to ${end}`, { ...setting, first, end }),
  );
  const gathered = gatherCase(kernels, matrix, vectors.between(0, rows - 1), vectors.between(0, 30));
  return [...products, { ...gathered, name: `${label}: ${gathered.name}` }];
}

/** Vectors of one head after the other; some are zero, some as large as they can be. */
function drawVectors(vectors: Vectors, count: number, size: number): Int32Array {
  const all = new Int32Array(count * size);
  for (let i = 0; i < count; i++) {
    const kind = oneOf(vectors, [0, 0, 0, 1, 2, 3, 4, 5]);
    all.set(vectors.activations(size, kind), i * size);
  }
  return all;
}

function drawAttention(vectors: Vectors, label: string): KernelCase {
  const kvHeads = vectors.between(1, 3);
  const heads = kvHeads * vectors.between(1, 3);
  const headDim =
    2 * oneOf(vectors, [1, 4 * vectors.between(1, 8), 4 * vectors.between(1, 32), vectors.between(1, 128)]);
  const positions = oneOf(vectors, [
    1,
    vectors.between(2, 40),
    vectors.between(2, 90),
    32 * vectors.between(1, 3) + 1,
  ]);
  const window = vectors.between(0, 2) === 0 ? vectors.between(1, positions) : null;
  const queryBits = vectors.between(1, 31);
  const setting = {
    heads,
    kvHeads,
    headDim,
    window,
    scoreShift: vectors.between(10, 50),
    keys: drawVectors(vectors, positions * kvHeads, headDim),
    values: drawVectors(vectors, positions * kvHeads, headDim),
    asked: [vectors.between(0, positions - 1), positions - 1],
    query: () => vectors.int32s(heads * headDim, queryBits),
  };
  return attentionCase(
    `${label}: attention of ${heads} heads of ${headDim}, ${kvHeads} shared, ${positions} positions, window ${window}`,
    setting,
  );
}

/** Cases of `draws` matrices and a third as many caches. */
export function fuzzCases(kernels: KernelSet, seed: number, draws: number): KernelCase[] {
  return Array.from({ length: draws }, (_, i) => {
    const vectors = new Vectors((BigInt(seed) << 32n) | BigInt(i));
    const label = `seed ${seed}, draw ${i}`;
    const linear = drawLinear(kernels, vectors, label);
    return i % 3 === 0 ? [...linear, drawAttention(vectors, label)] : linear;
  }).flat();
}
