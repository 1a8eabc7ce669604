/** Which functions the instructions of a token belong to. */
import type { ProgramFunction } from '../machine-code/program-code.js';
import type { FunctionShare } from '../measurement.js';
import type { CountedBlock } from './block-counter.js';

/** Instructions a token, largest first; what lies in no function that is known is called "?". */
export function functionShares(
  program: readonly ProgramFunction[],
  blocks: readonly CountedBlock[],
  tokens: number,
): FunctionShare[] {
  const starts = program
    .flatMap(({ name, lines }) => (lines.length === 0 ? [] : [{ name, start: lines[0]!.address }]))
    .sort((a, b) => a.start - b.start);
  const shares = new Map<string, number>();
  for (const { start, instructions, runs } of blocks) {
    const name = starts.findLast((one) => one.start <= start)?.name ?? '?';
    shares.set(name, (shares.get(name) ?? 0) + (instructions * runs) / tokens);
  }
  return [...shares]
    .map(([name, count]) => ({ function: name, instructions: count }))
    .sort((a, b) => b.instructions - a.instructions);
}
