/** Builds one bundle and measures it: instructions, loops, speed, memory. */
import { join } from 'node:path';
import type { Manifest } from '../../codegen/bundle/manifest.js';
import type { Toolchain } from '../../codegen/compile/toolchain.js';
import type { BenchResult } from '../../deploy/bench-bundle.js';
import type { Target } from '../../targets/target.js';
import type { ReadBandwidth } from './bandwidth/read-bandwidth.js';
import type { BlockCounter } from './instructions/block-counter.js';
import { functionShares } from './instructions/function-shares.js';
import { instructionsPerToken } from './instructions/instructions-per-token.js';
import { linkNamedProgram } from './instructions/named-program.js';
import { cores } from './machine-code/cores.js';
import { kernelCycles } from './machine-code/kernel-cycles.js';
import type { PipelineModel } from './machine-code/pipeline-model.js';
import { disassembleProgram } from './machine-code/program-code.js';
import { machineFacts } from './machine-facts.js';
import type { Measurement, SpeedFigures } from './measurement.js';
import { type Shape, shapes, weightMacs } from './shapes.js';
import type { Case, Workspace } from './workspace.js';

/** What there is to measure with; null: that part is left out. */
export interface Instruments {
  readonly workspace: Workspace;
  readonly counter: BlockCounter | null;
  readonly pipelines: PipelineModel | null;
  readonly bandwidth: ReadBandwidth | null;
  /** What starts a program whose time is measured. */
  readonly prefix: readonly string[];
  readonly repeat: number;
  readonly keepsBundles: boolean;
}

/** A target, its compiler, and whether its programs run here without an emulator. */
export interface Machine {
  readonly target: Target;
  readonly toolchain: Toolchain;
  readonly isNative: boolean;
}

export async function measureCase(
  one: Case,
  machine: Machine,
  instruments: Instruments,
): Promise<Measurement> {
  const { workspace, keepsBundles, counter, pipelines } = instruments;
  const { bundle, manifest, origin } = await workspace.build(one, machine.toolchain.version);
  try {
    const shape = shapes[one.shape];
    const { tools } = await machineFacts([machine], pipelines);
    const counted =
      counter === null
        ? { instructions: null, profile: null, cycles: null }
        : await workspace.remembered(bundle, 'counts', JSON.stringify([origin, tools]), () =>
            count(bundle, manifest, machine, shape, { workspace, counter, pipelines }),
          );
    return {
      ...one,
      blobBytes: manifest.memory.blobBytes,
      bitsPerWeight: manifest.quantization.bitsPerWeight,
      macs: weightMacs(shape),
      ...counted,
      speed: machine.isNative ? await time(bundle, manifest, instruments) : null,
    };
  } finally {
    if (!keepsBundles) workspace.remove(bundle);
  }
}

type Counted = Pick<Measurement, 'instructions' | 'profile' | 'cycles'>;
type Counting = Pick<Instruments, 'workspace' | 'pipelines'> & { readonly counter: BlockCounter };

async function count(
  bundle: string,
  { files }: Manifest,
  machine: Machine,
  shape: Shape,
  { workspace, counter, pipelines }: Counting,
): Promise<Counted> {
  const { target, toolchain } = machine;
  const program = await linkNamedProgram(
    bundle,
    Object.keys(files),
    machine,
    join(workspace.folder, 'program'),
  );
  const found = await instructionsPerToken(counter, target, bundle, program);
  const { decode, prefill, cachedPosition, decodeBlocks, decodedTokens } = found;
  const instructions = { decode, prefill, cachedPosition };
  if (toolchain.objdump === null) return { instructions, profile: null, cycles: null };
  const functions = await disassembleProgram(toolchain.objdump, program);
  const profile = functionShares(functions, decodeBlocks, decodedTokens);
  const core = cores[target.name];
  if (pipelines === null || core === undefined) return { instructions, profile, cycles: null };
  const macs = decodedTokens * weightMacs(shape);
  return {
    instructions,
    profile,
    cycles: await kernelCycles(pipelines, core, functions, decodeBlocks, macs),
  };
}

async function time(
  bundle: string,
  manifest: Manifest,
  { workspace, bandwidth, prefix, repeat }: Instruments,
): Promise<SpeedFigures | null> {
  if (bandwidth === null) return null;
  const result = await workspace.bench(bundle, repeat, prefix);
  const bytesPerToken = bytesOfToken(manifest, result);
  const [roof] = await bandwidth.measure([bytesPerToken]);
  const { speed, bench, memory, output } = result;
  const { median, p5, p95 } = speed.tokensPerSecond;
  return {
    decode: { median: median!, p5: p5!, p95: p95! },
    prefill: speed.promptTokensPerSecond!,
    timeToFirstTokenMs: speed.timeToFirstTokenMs!,
    bytesPerToken,
    bandwidth: roof!.bytesPerSecond,
    peakRssBytes: memory.peakRssBytes!,
    peakRssLimitBytes: bench.peakRssLimitBytes,
    matchesGolden: output.matchesGolden === true,
  };
}

/** All weights once, for embeddings are tied, and the cache of the mean position of the decoded tokens. */
function bytesOfToken({ memory, context }: Manifest, { speed }: BenchResult): number {
  const position = speed.promptTokens! + speed.generatedTokens! / 2;
  return Math.round(memory.weightsBytes + (memory.kvCacheBytes / context) * position);
}
