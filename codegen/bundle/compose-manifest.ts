/** Puts a manifest together from what the stages made. */
import type { Target } from '../../targets/target.js';
import { completionRecord } from '../checkpoint/crystal-completion.js';
import type { ModelSource } from '../checkpoint/model-source.js';
import type { CompiledModel } from '../compile/model-library.js';
import type { Toolchain } from '../compile/toolchain.js';
import type { EmittedModel } from '../emit/emit-bundle.js';
import type { ValidationReport } from '../evaluate/validation-report.js';
import type { Graph, Op } from '../graph/graph.js';
import type { Integers } from '../pipeline.js';
import { foldRecord } from '../quantize/folds/folds.js';
import { methodNames } from '../quantize/quantize-model.js';
import { toolVersion } from '../version.js';
import type { Certificate, GoldenRun, Manifest, ManifestOp, ManifestTensor } from './manifest.js';

export interface ManifestInput {
  readonly source: ModelSource;
  readonly target: Target;
  readonly integers: Integers;
  readonly golden: readonly GoldenRun[];
  readonly emitted: EmittedModel;
  readonly compiled: CompiledModel;
  readonly toolchain: Toolchain;
  readonly singleFile: boolean;
  readonly kernelModule: Manifest['kernelModule'];
  readonly bareMetal: Manifest['bareMetal'];
  readonly files: Readonly<Record<string, string>>;
}

function opList(graph: Graph): ManifestOp[] {
  const section = (ops: readonly Op[], name: ManifestOp['section'], base: number): ManifestOp[] =>
    ops.map((op, i) => ({ section: name, index: base + i, kind: op.kind, name: op.name }));
  return [
    ...section(graph.prologue, 'prologue', 0),
    ...section(graph.layers[0]!, 'layer', 0),
    ...section(graph.epilogue, 'epilogue', graph.prologue.length),
  ];
}

/** Parameters of the checkpoint: matrices and vectors, a tied head counted once. */
export function parameterCount(graph: Graph): number {
  const matrices = graph.matrices.reduce((sum, m) => sum + m.rows * m.columns, 0);
  return matrices + graph.vectors.reduce((sum, v) => sum + v.length, 0);
}

function certificateOf({ text, windows, tokens, lnRatio, threshold }: ValidationReport): Certificate {
  return { text, windows, tokens, lnRatio, threshold };
}

export function composeManifest(input: ManifestInput): Manifest {
  const { source, integers, emitted, compiled } = input;
  const { model, calibration, certification } = integers;
  const { checkpoint } = source;
  const { blob, memory } = emitted;
  const { graph } = model;
  const sectionBytes = new Map(blob.entries.map((entry) => [entry.name, entry.bytes]));
  const tensors: ManifestTensor[] = [...model.matrices.values()].map(({ name, format, rows, columns }) => ({
    name,
    format,
    rows,
    columns,
    bytes: sectionBytes.get(name)!,
  }));
  const vectorBytes = graph.vectors.reduce((sum, v) => sum + sectionBytes.get(v.name)!, 0);
  const weightsBytes = tensors.reduce((sum, t) => sum + t.bytes, 0) + vectorBytes;
  const parameters = parameterCount(graph);
  return {
    schemaVersion: 1,
    tool: { name: 'embed-model', version: toolVersion() },
    model: {
      name: source.name,
      family: graph.family,
      architecture: checkpoint.config.architecture,
      parameters,
      sha256: checkpoint.sha256(),
      source: source.source,
      ...(source.completion === undefined ? {} : { completion: completionRecord(source.completion) }),
    },
    target: input.target.name,
    targetSpec: input.target,
    plan: integers.plan,
    context: graph.context,
    build: { id: emitted.buildId, quantizedSha256: integers.quantizedSha256 },
    quantization: {
      method: methodNames[integers.method],
      comparison: integers.comparison,
      ...(source.folds === undefined ? {} : { folds: foldRecord(source.folds) }),
      accepted: certification?.accepted ?? null,
      certification: certification === null ? null : certificateOf(certification),
      bitsPerWeight: Number(((8 * weightsBytes) / parameters).toFixed(4)),
      calibration: { source: calibration.source, sha256: calibration.sha256, tokens: calibration.tokens },
      ranges: Object.fromEntries(calibration.ranges),
    },
    tensors,
    ops: opList(graph),
    logitsFrac: model.logitsFrac,
    tokenizer: source.tokenizer !== null,
    ...(source.vocabulary === undefined ? {} : { vocabulary: source.vocabulary }),
    singleFile: input.singleFile,
    ...(input.kernelModule === undefined ? {} : { kernelModule: input.kernelModule }),
    ...(input.bareMetal === undefined ? {} : { bareMetal: input.bareMetal }),
    memory: {
      blobBytes: blob.blobBytes,
      weightsBytes,
      arenaBytes: memory.arenaBytes,
      stateBytes: memory.stateBytes,
      kvCacheBytes: memory.cacheBytes,
      activationBytes: memory.activationBytes,
      stackBytes: compiled.audit.stack.bytes,
    },
    code: compiled.sizes,
    toolchain: { version: input.toolchain.version, flags: compiled.flags },
    golden: input.golden,
    files: input.files,
  };
}
