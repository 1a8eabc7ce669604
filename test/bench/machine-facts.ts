/** What a reader has to know of the machine that was measured on. */
import { readFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { runTool } from '../../codegen/compile/run-tool.js';
import { readHostCpu } from '../../deploy/host-cpu.js';
import type { PipelineModel } from './machine-code/pipeline-model.js';
import type { Machine } from './measure-case.js';
import type { MachineFacts } from './measurement.js';

export async function machineFacts(
  machines: readonly Machine[],
  pipelines: PipelineModel | null,
): Promise<MachineFacts> {
  const emulators = machines.flatMap(({ target }) =>
    target.emulator === null ? [] : [target.emulator.program],
  );
  const versions = await Promise.all([...new Set(emulators)].map(firstLine));
  return {
    cpu: (await readHostCpu()).model,
    processors: cpus().length,
    system: distribution(),
    kernel: release(),
    tools: [
      ...machines.map(({ target, toolchain }) => `${target.name}: ${toolchain.version}`),
      ...versions.filter((line) => line !== null),
      ...(pipelines === null ? [] : [`llvm-mca: ${pipelines.version}`]),
    ],
  };
}

/** What a program says to --version; null where there is none. */
async function firstLine(program: string): Promise<string | null> {
  try {
    return (await runTool([program, '--version'])).stdout.split('\n', 1)[0]!;
  } catch {
    return null;
  }
}

function distribution(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? process.platform;
  } catch {
    return process.platform;
  }
}
