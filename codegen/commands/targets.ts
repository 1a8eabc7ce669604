/** embed-model targets: the table of targets, and what this machine has for each. */
import type { Target } from '../../targets/target.js';
import { EmbedError } from '../diagnostics/error.js';
import { defineCommand } from './command.js';
import { fieldList } from './text-table.js';

interface TargetState {
  readonly target: Target;
  /** Version of the compiler, or null. */
  readonly toolchain: string | null;
  /** What to do about a missing compiler. */
  readonly toolchainFix: string | null;
  /** Path of the emulator, or null. */
  readonly emulator: string | null;
  /** Why this machine cannot run the target's programs itself; null if it can. */
  readonly obstacle: string | null;
}

export const targetsCommand = defineCommand({
  name: 'targets',
  summary: 'the machines there are to build for',
  description: [
    'Lists the targets that --target takes, and for each of them which compiler and emulator were ' +
      'found here, and whether this machine runs its programs by itself. A target is data: spread one in ' +
      'a *.target.ts file of your own and give its path to --target.',
  ],
  argument: null,
  options: {},
  examples: [
    { command: 'embed-model targets', note: 'the table' },
    { command: 'embed-model targets --json', note: 'the same for programs' },
  ],
  cleansUp: false,
  exitCodes: {},
  async dryRun() {
    const { planTargets } = await import('../../deploy/plan-diagnosis.js');
    return planTargets();
  },
  async run({ output }) {
    const { targets } = await import('../../targets/index.js');
    const { readHostCpu, whyNotNative } = await import('../../deploy/host-cpu.js');
    const { findProgram } = await import('../compile/find-program.js');
    const host = await readHostCpu();
    const states = await Promise.all(
      targets.map(
        async (target): Promise<TargetState> => ({
          target,
          ...(await toolchainState(target)),
          emulator: (target.emulator && (await findProgram(target.emulator.program))) ?? null,
          obstacle: whyNotNative(target, host) ?? null,
        }),
      ),
    );
    output.result({ targets: states.map(documentOf) }, () => states.map(describe).join('\n\n'));
    return 0;
  },
});

async function toolchainState(target: Target): Promise<Pick<TargetState, 'toolchain' | 'toolchainFix'>> {
  const { findToolchain } = await import('../compile/toolchain.js');
  try {
    return { toolchain: (await findToolchain(target)).version, toolchainFix: null };
  } catch (error) {
    if (error instanceof EmbedError) return { toolchain: null, toolchainFix: error.fix };
    throw error;
  }
}

function describe({ target, toolchain, toolchainFix, emulator, obstacle }: TargetState): string {
  const aliases = target.aliases.length === 0 ? '' : `  (also ${target.aliases.join(', ')})`;
  const rows = fieldList([
    ['  code', `${target.arch}, ${target.triple}, ${target.kernelSet} kernels`],
    ['  compiler', toolchain ?? `not found: ${toolchainFix}`],
    ['  emulator', emulatorText(target, emulator)],
    ['  this machine', obstacle === null ? 'runs its programs' : `does not run its programs: ${obstacle}`],
  ]);
  return `${target.name}${aliases}\n  ${target.description}\n${rows}`;
}

function emulatorText({ emulator }: Target, path: string | null): string {
  if (emulator === null) return 'none';
  return path === null
    ? `not found: sudo apt-get install ${emulator.package}`
    : `${path} ${emulator.args.join(' ')}`;
}

function documentOf({ target, toolchain, emulator, obstacle }: TargetState): unknown {
  const { name, aliases, description, arch, triple, kernelSet } = target;
  return {
    name,
    aliases,
    description,
    arch,
    triple,
    kernelSet,
    toolchain,
    emulator,
    native: obstacle === null,
    whyNotNative: obstacle,
  };
}
