/** This machine as a place to run a bundle, by itself or under user-mode emulation. */
import { release } from 'node:os';
import { join } from 'node:path';
import type { Manifest } from '../codegen/bundle/manifest.js';
import { readHostCpu } from './host-cpu.js';
import { findLauncher, type LocalMode, runLocally } from './local.js';
import type { Machine, MachineDescription, Place, ProgramEnd, ProgramOptions } from './machine.js';

/** Path of em-run and its arguments, the file of the trace among them where there is one. */
export function localCommand(
  bundle: string,
  { singleFile }: Pick<Manifest, 'singleFile'>,
  args: readonly string[],
  trace: string | null,
): [string, ...string[]] {
  const weights = singleFile ? [] : [join(bundle, 'model.blob')];
  return [
    join(bundle, 'bin', 'em-run'),
    ...weights,
    ...args,
    ...(trace === null ? [] : [`--trace=${trace}`]),
  ];
}

export class LocalMachine implements Machine {
  constructor(private readonly mode: LocalMode) {}

  run(
    bundle: string,
    manifest: Manifest,
    args: readonly string[],
    options: ProgramOptions,
  ): Promise<ProgramEnd> {
    const { timeoutMs, signal, onStdout, trace } = options;
    const [binary, ...rest] = localCommand(bundle, manifest, args, trace);
    return runLocally(manifest.targetSpec, binary, rest, {
      mode: this.mode,
      timeoutMs,
      signal,
      onStdoutChunk: onStdout,
    });
  }

  async describe({ targetSpec }: Manifest): Promise<MachineDescription> {
    const { emulated } = await findLauncher(targetSpec, this.mode);
    if (!emulated) {
      const cpu = (await readHostCpu()).model;
      return { name: 'host', transport: 'host', emulated, cpu, kernel: release() };
    }
    const { program = null, args = [] } = targetSpec.emulator ?? {};
    return { name: program, transport: 'emulator', emulated, cpu: args.join(' ') || null, kernel: null };
  }
}

/** The machine of a place. */
export const machineAt = (place: Place): Machine =>
  typeof place === 'string' ? new LocalMachine(place) : place;
