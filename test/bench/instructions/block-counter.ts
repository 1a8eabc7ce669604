/** Counts the instructions that a program of any target executes, under qemu-user with block_counts.c. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runTool } from '../../../codegen/compile/run-tool.js';
import { findLauncher } from '../../../deploy/local.js';
import type { Target } from '../../../targets/target.js';
import { projectRoot } from '../project-root.js';

/** Code at [start, end) of the program that is executed from its first to its last instruction. */
export interface CountedBlock {
  readonly start: number;
  readonly end: number;
  readonly instructions: number;
  readonly runs: number;
}

const pluginSource = join(projectRoot, 'test', 'bench', 'instructions', 'block_counts.c');

/** An emulated model of 150 M parameters may take a minute a token. */
const timeoutMs = 3_600_000;

export class BlockCounter {
  private constructor(
    private readonly plugin: string,
    private readonly out: string,
  ) {}

  /** Compiles the plugin with the host's compiler; `folder` holds it, and what it writes. */
  static async open(folder: string): Promise<BlockCounter> {
    const plugin = join(folder, 'block_counts.so');
    await runTool(['cc', '-std=c11', '-O2', '-shared', '-fPIC', pluginSource, '-o', plugin]);
    return new BlockCounter(plugin, join(folder, 'block-counts'));
  }

  /** Runs a program to its end. Throws EM3201 without the target's emulator, EM3002 where the program or the plugin fails. */
  async count(target: Target, program: string, args: readonly string[]): Promise<CountedBlock[]> {
    const { prefix } = await findLauncher(target, 'emulator');
    await runTool([...prefix, '-plugin', `${this.plugin},out=${this.out}`, program, ...args], { timeoutMs });
    return endBeforePages(parseBlockCounts(readFileSync(this.out, 'utf8')));
  }
}

/** Lines as block_counts.c writes them. Throws where one is none. */
export function parseBlockCounts(text: string): CountedBlock[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const fields = /^([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) (\d+)$/.exec(line);
      if (fields === null) throw new Error(`block_counts wrote what is no count: ${line}`);
      const [start, end, instructions] = fields.slice(1, 4).map((digits) => Number.parseInt(digits, 16));
      return { start: start!, end: end!, instructions: instructions!, runs: Number(fields[4]) };
    });
}

const PAGE = 4096;
const longestInstruction = 15;

/**
 * An x86 instruction that crosses a page begins a block of its own, but QEMU has it in the block before, too, cut at the end of
 * the page, where it is not executed: it is taken out there.
 */
export function endBeforePages(blocks: readonly CountedBlock[]): CountedBlock[] {
  const crossing = blocks.filter(
    ({ start, end }) =>
      Math.floor(start / PAGE) !== Math.floor((end - 1) / PAGE) && PAGE - (start % PAGE) < longestInstruction,
  );
  const starts = new Map(crossing.map(({ start }) => [Math.ceil(start / PAGE) * PAGE, start]));
  return blocks.map((block) => {
    const start = starts.get(block.end);
    return start === undefined || start <= block.start
      ? block
      : { ...block, end: start, instructions: block.instructions - 1 };
  });
}

/** Instructions executed in all. */
export function countInstructions(blocks: readonly CountedBlock[]): number {
  return blocks.reduce((sum, { instructions, runs }) => sum + instructions * runs, 0);
}

/** What `more` ran beyond `less`, two runs of one program: blocks keep their place, runs are differences. */
export function blockDifference(
  more: readonly CountedBlock[],
  less: readonly CountedBlock[],
): CountedBlock[] {
  const key = ({ start, end }: CountedBlock) => `${start}-${end}`;
  const before = new Map(less.map((block) => [key(block), block.runs]));
  const difference = more.map((block) => ({ ...block, runs: block.runs - (before.get(key(block)) ?? 0) }));
  const known = new Set(more.map(key));
  const gone = less
    .filter((block) => !known.has(key(block)))
    .map((block) => ({ ...block, runs: -block.runs }));
  return [...difference, ...gone].filter(({ runs }) => runs !== 0);
}
