/** What the machine this runs on can execute. */
import { readFile } from 'node:fs/promises';
import type { Architecture, Target } from '../targets/target.js';

export interface HostCpu {
  /** undefined for an architecture embed-model has no target for, and for systems other than Linux. */
  readonly arch: Architecture | undefined;
  /** As /proc/cpuinfo names them; what every core has. */
  readonly features: ReadonlySet<string>;
  /** Name of the processor for a reader, as far as the kernel gives one. */
  readonly model: string;
}

const nodeArchitectures: Readonly<Record<string, Architecture>> = {
  x64: 'x86_64',
  arm64: 'aarch64',
  riscv64: 'riscv64',
};

/** Reads /proc/cpuinfo; features are empty where that cannot be read. */
export async function readHostCpu(): Promise<HostCpu> {
  const arch = process.platform === 'linux' ? nodeArchitectures[process.arch] : undefined;
  const text = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  return { arch, ...parseCpuinfo(text) };
}

/** Lines that list what a core can do: x86 'flags', Arm 'Features', RISC-V 'isa'. */
const featureLine = /^(flags|Features|isa)\s*:\s*(.*)$/gm;

const modelLine = /^(?:model name|Model|uarch|Hardware)\s*:\s*(.+)$/m;

/**
 * Features that all cores of a /proc/cpuinfo share (a big.LITTLE pair may differ), and the name of the first.
 */
export function parseCpuinfo(text: string): Pick<HostCpu, 'features' | 'model'> {
  const cores = [...text.matchAll(featureLine)].map(
    ([, kind, value]) => new Set(kind === 'isa' ? isaFeatures(value) : value.trim().split(/\s+/)),
  );
  const shared = [...(cores[0] ?? [])].filter((feature) => cores.every((core) => core.has(feature)));
  return { features: new Set(shared), model: modelLine.exec(text)?.[1].trim() ?? 'unknown' };
}

/** `rv64imafdc_zicsr_zba` -> i, m, a, f, d, c, zicsr, zba. g stands for imafd. */
function isaFeatures(isa: string): string[] {
  const [base, ...extensions] = isa.trim().toLowerCase().split('_');
  const letters = [...base.replace(/^rv\d+/, '').replace('g', 'imafd')];
  return [...letters, ...extensions];
}

/** What keeps the host from running programs of the target itself, in words; undefined if nothing does. */
export function whyNotNative(target: Target, host: HostCpu): string | undefined {
  if (host.arch !== target.arch) {
    return `this machine is ${host.arch ?? `${process.platform}/${process.arch}`}, not ${target.arch}`;
  }
  const missing = target.hostFeatures.filter((feature) => !host.features.has(feature));
  return missing.length === 0 ? undefined : `this CPU (${host.model}) has no ${missing.join(', ')}`;
}
