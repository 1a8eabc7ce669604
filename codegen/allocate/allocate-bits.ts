/** Chooses a format for every matrix: the smallest blob for a divergence, or the least divergence for a size. */
import { type AllocatedFormat, allocatedFormats, type Sensitivity } from './sensitivity.js';

export interface Allocation {
  readonly formats: ReadonlyMap<string, AllocatedFormat>;
  /** Sum of the sections of all matrices. */
  readonly bytes: number;
  /** Sum of the divergences of all matrices: what the additive model predicts. */
  readonly divergence: number;
}

/** Bytes that a matrix takes in a format. */
export type BytesOf = (matrix: string, format: AllocatedFormat) => number;

/** Steps that the largest divergence is cut into; each matrix is rounded up to whole ones, so that a bound holds. */
const QUANTA = 4000;

/**
 * The fewest bytes with a sum of divergences of at most `maxDivergence`, or null where even the most bits have more. Errors of
 * different matrices are nearly independent, so their divergences add up; then this is a knapsack problem, solved exactly up to the
 * rounding of divergences to 1/4000 of the bound.
 */
export function smallestAllocation(
  sensitivities: readonly Sensitivity[],
  bytesOf: BytesOf,
  maxDivergence: number,
): Allocation | null {
  const table = fillTable(sensitivities, bytesOf, maxDivergence);
  return table.at(-1)!.bytes[QUANTA] === Number.POSITIVE_INFINITY
    ? null
    : trace(table, sensitivities, bytesOf, QUANTA);
}

/** The least divergence that fits `maxBytes`, or null where the fewest bits take more. Found by bisection of the bound. */
export function closestAllocation(
  sensitivities: readonly Sensitivity[],
  bytesOf: BytesOf,
  maxBytes: number,
): Allocation | null {
  const fewestBits = sensitivities.reduce((sum, { divergence }) => sum + divergence[allocatedFormats[0]], 0);
  let low = 0;
  let high = fewestBits * (1 + sensitivities.length / QUANTA);
  let best = smallestAllocation(sensitivities, bytesOf, high);
  if (best === null || best.bytes > maxBytes) return null;
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2;
    const allocation = smallestAllocation(sensitivities, bytesOf, middle);
    if (allocation !== null && allocation.bytes <= maxBytes) {
      high = middle;
      best = allocation;
    } else {
      low = middle;
    }
  }
  return best;
}

/** After some matrices: the fewest bytes for each number of quanta, and the format that the last of them has then. */
interface Stage {
  readonly bytes: Float64Array;
  readonly choice: Uint8Array;
}

function quantaOf(divergence: number, maxDivergence: number): number {
  return divergence <= 0 ? 0 : Math.ceil(divergence / (maxDivergence / QUANTA));
}

function fillTable(
  sensitivities: readonly Sensitivity[],
  bytesOf: BytesOf,
  maxDivergence: number,
): (Stage & { readonly quanta: readonly number[] })[] {
  let before = new Float64Array(QUANTA + 1);
  return sensitivities.map(({ matrix, divergence }) => {
    const bytes = new Float64Array(QUANTA + 1).fill(Number.POSITIVE_INFINITY);
    const choice = new Uint8Array(QUANTA + 1);
    const quanta = allocatedFormats.map((format) => quantaOf(divergence[format], maxDivergence));
    for (const [i, format] of allocatedFormats.entries()) {
      const own = bytesOf(matrix, format);
      for (let q = quanta[i]!; q <= QUANTA; q++) {
        const sum = before[q - quanta[i]!]! + own;
        if (sum < bytes[q]!) {
          bytes[q] = sum;
          choice[q] = i;
        }
      }
    }
    before = bytes;
    return { bytes, choice, quanta };
  });
}

function trace(
  table: ReturnType<typeof fillTable>,
  sensitivities: readonly Sensitivity[],
  bytesOf: BytesOf,
  quanta: number,
): Allocation {
  const formats = new Map<string, AllocatedFormat>();
  let left = quanta;
  for (let i = sensitivities.length - 1; i >= 0; i--) {
    const choice = table[i]!.choice[left]!;
    formats.set(sensitivities[i]!.matrix, allocatedFormats[choice]!);
    left -= table[i]!.quanta[choice]!;
  }
  return describe(sensitivities, bytesOf, formats);
}

/** Bytes and predicted divergence of a choice of formats. */
export function describe(
  sensitivities: readonly Sensitivity[],
  bytesOf: BytesOf,
  formats: ReadonlyMap<string, AllocatedFormat>,
): Allocation {
  let bytes = 0;
  let divergence = 0;
  for (const one of sensitivities) {
    const format = formats.get(one.matrix)!;
    bytes += bytesOf(one.matrix, format);
    divergence += one.divergence[format];
  }
  return {
    formats: new Map(sensitivities.map(({ matrix }) => [matrix, formats.get(matrix)!])),
    bytes,
    divergence,
  };
}
