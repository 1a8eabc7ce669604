/** Measures how fast one thread of this machine reads memory, by size of the working set. */
import { join } from 'node:path';
import { runTool } from '../../../codegen/compile/run-tool.js';
import { projectRoot } from '../project-root.js';

export interface Bandwidth {
  readonly workingSetBytes: number;
  readonly bytesPerSecond: number;
}

const source = join(projectRoot, 'test', 'bench', 'bandwidth', 'read_bandwidth.c');

export class ReadBandwidth {
  private constructor(
    private readonly program: string,
    private readonly prefix: readonly string[],
  ) {}

  /** Compiles the program into `folder`, for the processor at hand. `prefix` is what starts it, such as chrt. */
  static async open(folder: string, prefix: readonly string[]): Promise<ReadBandwidth> {
    const program = join(folder, 'read_bandwidth');
    await runTool(['cc', '-std=c11', '-O3', '-march=native', source, '-o', program]);
    return new ReadBandwidth(program, prefix);
  }

  /** The fastest of several passes over each working set. */
  async measure(workingSets: readonly number[]): Promise<Bandwidth[]> {
    const sizes = workingSets.map((bytes) => String(Math.round(bytes)));
    return parseBandwidth((await runTool([...this.prefix, this.program, ...sizes])).stdout);
  }
}

/** Lines as read_bandwidth.c prints them. */
export function parseBandwidth(text: string): Bandwidth[] {
  return [...text.matchAll(/^(\d+) (\d+)$/gm)].map(([, bytes, rate]) => ({
    workingSetBytes: Number(bytes),
    bytesPerSecond: Number(rate),
  }));
}
