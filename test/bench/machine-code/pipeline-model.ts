/** Cycles that code takes on a core, estimated by llvm-mca: every load hits the first cache, every branch is foreseen. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../../../codegen/compile/find-program.js';
import { runTool } from '../../../codegen/compile/run-tool.js';
import type { Core } from './cores.js';
import type { CodeLine } from './program-code.js';

const ITERATIONS = 200;

/** Debian's versioned names first, newest first: models of the cores get better. */
const names = [...Array.from({ length: 10 }, (_, i) => `llvm-mca-${23 - i}`), 'llvm-mca'];

export class PipelineModel {
  private constructor(
    private readonly program: string,
    /** Such as "LLVM version 19.1.7". */
    readonly version: string,
    private readonly folder: string,
  ) {}

  /** Null where no llvm-mca is installed. */
  static async open(folder: string): Promise<PipelineModel | null> {
    for (const name of names) {
      const program = await findProgram(name);
      if (program === undefined) continue;
      const { stdout } = await runTool([program, '--version']);
      return new PipelineModel(program, /LLVM version \S+/.exec(stdout)?.[0] ?? name, folder);
    }
    return null;
  }

  /** Cycles a round of each body takes when it runs over and over. Throws EM3002 for code that llvm-mca does not know. */
  async cyclesPerRound(core: Core, bodies: readonly (readonly CodeLine[])[]): Promise<number[]> {
    const path = join(this.folder, 'loops.s');
    writeFileSync(path, assemblyOf(bodies));
    const command = [
      this.program,
      `-mtriple=${core.triple}`,
      `-mcpu=${core.cpu}`,
      `-iterations=${ITERATIONS}`,
    ];
    const { stdout } = await runTool([
      ...command,
      '-resource-pressure=false',
      '-instruction-info=false',
      path,
    ]);
    const cycles = [...stdout.matchAll(/^Total Cycles:\s+(\d+)$/gm)].map(
      (match) => Number(match[1]) / ITERATIONS,
    );
    if (cycles.length !== bodies.length)
      throw new Error(`llvm-mca looked at ${cycles.length} of ${bodies.length} loops`);
    return cycles;
  }
}

/** Every body as a region of its own; jumps go to a label, since their addresses mean nothing here. */
export function assemblyOf(bodies: readonly (readonly CodeLine[])[]): string {
  const regions = bodies.map((body, i) => {
    const code = body.map(({ text, destination }) =>
      destination === null ? text : text.replace(/(0x)?[0-9a-f]+$/, `.Lbody${i}`),
    );
    return [`# LLVM-MCA-BEGIN body${i}`, `.Lbody${i}:`, ...code, '# LLVM-MCA-END'].join('\n');
  });
  return `${regions.join('\n')}\n`;
}
