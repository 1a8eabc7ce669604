/** What the matrix multiplications of a decoded token cost on a core, loop by loop. */
import type { CountedBlock } from '../instructions/block-counter.js';
import type { Core } from './cores.js';
import { AddressCounts, type Loop, loopNest } from './loop-nest.js';
import type { PipelineModel } from './pipeline-model.js';
import { type ProgramFunction, reachableFunctions } from './program-code.js';

export interface KernelCycles {
  readonly cpu: string;
  /** The function that most cycles go to. */
  readonly function: string;
  /** Its loop that most cycles go to: a round of it. */
  readonly innerLoop: { readonly instructions: number; readonly cycles: number };
  /** Cycles a multiplication: in innermost loops of the function; in all of it, scales of groups included. */
  readonly innerCyclesPerMac: number;
  readonly functionCyclesPerMac: number;
  /** In everything that multiplies matrices, row multipliers and calls included. */
  readonly cyclesPerMac: number;
}

/** Where the emitted C begins to multiply a tile of rows. */
const kernelEntry = 'em_linear_task';

/** Loops with a smaller share of the instructions are not looked at: they cannot matter. */
const leastShare = 0.002;

/**
 * `blocks` are those of decoded tokens that multiply `macs` weights together. Null where llvm-mca knows none of the loops.
 */
export async function kernelCycles(
  model: PipelineModel,
  core: Core,
  program: readonly ProgramFunction[],
  blocks: readonly CountedBlock[],
  macs: number,
): Promise<KernelCycles | null> {
  const counts = new AddressCounts(blocks);
  const loops = reachableFunctions(program, kernelEntry).flatMap((one) =>
    one.lines.length === 0 ? [] : loopNest(one, counts),
  );
  const executed = ({ body, rounds }: Loop) => body.length * rounds;
  const all = loops.reduce((sum, loop) => sum + executed(loop), 0);
  const weighty = loops.filter((loop) => executed(loop) > leastShare * all);
  if (weighty.length === 0) return null;
  const cycles = await model.cyclesPerRound(
    core,
    weighty.map(({ body }) => body),
  );
  const costs = weighty.map((loop, i) => ({ loop, cycles: cycles[i]!, total: cycles[i]! * loop.rounds }));
  const innermost = costs.filter(({ loop }) => loop.isInnermost);
  const top = (innermost.length > 0 ? innermost : costs).reduce((a, b) => (b.total > a.total ? b : a));
  const own = ({ loop }: (typeof costs)[number]) => loop.function === top.loop.function;
  const perMac = (chosen: typeof costs) => chosen.reduce((total, one) => total + one.total, 0) / macs;
  return {
    cpu: core.cpu,
    function: top.loop.function,
    innerLoop: { instructions: top.loop.body.length, cycles: top.cycles },
    innerCyclesPerMac: perMac(innermost.filter(own)),
    functionCyclesPerMac: perMac(costs.filter(own)),
    cyclesPerMac: perMac(costs),
  };
}
