/** Splits a function into its loops, each with the instructions that are its own and not those of a loop within it. */
import type { CountedBlock } from '../instructions/block-counter.js';
import type { CodeLine, ProgramFunction } from './program-code.js';

export interface Loop {
  readonly function: string;
  /** Addresses of the first instruction and of the jump back; those of the function for what is in no loop. */
  readonly first: number;
  readonly last: number;
  /** Loops around it. */
  readonly depth: number;
  /** Whether it has no loop within. */
  readonly isInnermost: boolean;
  /** Its own instructions, in order: those that ran in at least half of its rounds. Calls and returns are left out. */
  readonly body: readonly CodeLine[];
  /** How often its body ran: the median over its instructions. */
  readonly rounds: number;
}

/** How often the instruction at each address ran. */
export class AddressCounts {
  private readonly blocks: readonly CountedBlock[];

  constructor(blocks: readonly CountedBlock[]) {
    this.blocks = [...blocks].sort((a, b) => a.start - b.start);
  }

  at(address: number): number {
    let runs = 0;
    for (const block of this.blocks) {
      if (block.start > address) break;
      if (address < block.end) runs += block.runs;
    }
    return runs;
  }

  /** Counts of all lines, in their order. */
  of(lines: readonly CodeLine[]): number[] {
    const first = lines[0]?.address ?? 0;
    const end = (lines.at(-1)?.address ?? -1) + 1;
    const near = new AddressCounts(this.blocks.filter((block) => block.end > first && block.start < end));
    return lines.map(({ address }) => near.at(address));
  }
}

interface Range {
  readonly first: number;
  readonly last: number;
}

/** Loops are what jumps back within the function enclose; of several jumps to one place the last counts. */
export function loopNest({ name, lines }: ProgramFunction, counts: AddressCounts): Loop[] {
  const runs = counts.of(lines);
  const whole = { first: lines[0]!.address, last: lines.at(-1)!.address };
  const ranges = [whole, ...loopRanges(lines, runs)];
  const owner = lines.map(({ address }) => innermost(ranges, address));
  return ranges.flatMap((range, r) => {
    const own = lines.map((line, i) => ({ line, runs: runs[i]! })).filter((_, i) => owner[i] === r);
    const rounds = median(own.map((one) => one.runs).filter((ran) => ran > 0));
    if (rounds === 0) return [];
    const body = own
      .filter((one) => 2 * one.runs >= rounds && !one.line.isCall && !one.line.isReturn)
      .map(({ line }) => line);
    const contains = (outer: Range, inner: Range) =>
      outer !== inner && outer.first <= inner.first && inner.last <= outer.last;
    return {
      function: name,
      ...range,
      depth: ranges.filter((other) => contains(other, range)).length,
      isInnermost: r !== 0 && !ranges.some((other) => contains(range, other)),
      body,
      rounds,
    };
  });
}

/** The upper one of two; 0 of none. */
function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function loopRanges(lines: readonly CodeLine[], runs: readonly number[]): Range[] {
  const start = lines[0]!.address;
  const lastByFirst = new Map<number, number>();
  lines.forEach(({ address, destination, isCall }, i) => {
    if (destination === null || isCall || destination < start || destination > address || runs[i] === 0)
      return;
    lastByFirst.set(destination, address);
  });
  return [...lastByFirst].map(([first, last]) => ({ first, last }));
}

/** Index of the smallest range that holds an address. */
function innermost(ranges: readonly Range[], address: number): number {
  const size = ({ first, last }: Range) => last - first;
  return ranges.reduce(
    (best, range, i) =>
      range.first <= address && address <= range.last && size(range) < size(ranges[best]!) ? i : best,
    0,
  );
}
