/** What a board says of itself: asked with one script, read from its files, nothing of which needs root. */
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { Target } from '../../targets/target.js';
import { parseCpuinfo } from '../host-cpu.js';

export interface BoardFacts {
  /** As uname -m says it. */
  readonly machine: string;
  /** As uname -sr says it. */
  readonly kernel: string;
  /** From the device tree, else the processor's name. */
  readonly cpu: string;
  readonly features: ReadonlySet<string>;
  readonly processors: number;
  readonly memoryBytes: number | null;
  /** Changes with every boot; empty where the kernel does not tell. */
  readonly bootId: string;
  /** Programs that embed-model needs there and that are missing. */
  readonly missing: readonly string[];
}

/** Programs that the scripts call; all are in coreutils and in busybox. */
const needed = ['sha256sum', 'wc', 'mv', 'ln', 'readlink', 'du', 'df', 'head', 'base64'];

const cpuinfoLines = '^(processor|flags|Features|isa|model name|Model|uarch|Hardware)[[:space:]]*:';

/** Prints key=value lines, then the lines of /proc/cpuinfo that matter, each once. */
export const factsScript = [
  'echo "machine=$(uname -m)"',
  'echo "kernel=$(uname -sr)"',
  'echo "model=$(tr -d "\\\\0" < /proc/device-tree/model 2>/dev/null)"',
  'echo "boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"',
  'echo "memory=$(grep MemTotal: /proc/meminfo 2>/dev/null | tr -dc 0-9)"',
  `for t in ${needed.join(' ')}; do command -v $t >/dev/null 2>&1 || echo "missing=$t"; done`,
  'echo "processors=$(grep -c "^processor" /proc/cpuinfo 2>/dev/null)"',
  `grep -E '${cpuinfoLines}' /proc/cpuinfo 2>/dev/null | grep -v '^processor' | sort -u`,
].join('\n');

/** Reads what factsScript printed. */
export function parseFacts(text: string): BoardFacts {
  const values = new Map<string, string>();
  const missing: string[] = [];
  for (const line of text.split('\n')) {
    const match = /^(machine|kernel|model|boot|memory|processors|missing)=(.*)$/.exec(line.trim());
    if (match?.[1] === 'missing') missing.push(match[2]);
    else if (match !== null) values.set(match[1], match[2]);
  }
  const cpuinfo = parseCpuinfo(text);
  const get = (key: string) => values.get(key)?.trim() ?? '';
  const model = get('model');
  return {
    machine: get('machine'),
    kernel: get('kernel'),
    cpu: model !== '' ? model : cpuinfo.model,
    features: cpuinfo.features,
    processors: Number(get('processors')) || 1,
    memoryBytes: get('memory') === '' ? null : Number(get('memory')) * 1024,
    bootId: get('boot'),
    missing,
  };
}

/** Names of uname -m for an architecture. */
const machines: Readonly<Record<Target['arch'], readonly string[]>> = {
  x86_64: ['x86_64', 'amd64'],
  aarch64: ['aarch64', 'arm64'],
  riscv64: ['riscv64'],
};

/** Refuses a board that lacks what is needed: EM4031 programs, EM4032 the processor. `wanted`: features of boards.json. */
export function requireFit(
  where: string,
  facts: BoardFacts,
  target: Target | null,
  wanted: readonly string[],
): void {
  if (facts.machine === '')
    throw new EmbedError('EM4031', { where, why: 'it has no POSIX shell, or no uname' });
  if (facts.missing.length > 0) {
    throw new EmbedError('EM4031', { where, why: `it has no ${facts.missing.join(', ')}` });
  }
  const why = misfit(facts, target, wanted);
  if (why !== null) throw new EmbedError('EM4032', { where, why });
}

/** Why a board cannot run programs of the target, or lacks features that it should have; null: it fits. */
export function misfit(facts: BoardFacts, target: Target | null, wanted: readonly string[]): string | null {
  if (target !== null && !machines[target.arch].includes(facts.machine)) {
    return `it is ${facts.machine}, the bundle is for ${target.arch}`;
  }
  // Kernels differ in how they spell the riscv isa, and old ones leave multi-letter extensions out.
  const features = [...(target?.hostFeatures ?? []), ...wanted];
  const lacking = [...new Set(features)].filter((feature) => !facts.features.has(feature));
  return lacking.length === 0 ? null : `its processor (${facts.cpu}) has no ${lacking.join(', ')}`;
}
