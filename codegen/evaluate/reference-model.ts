/** The model of a bundle once more, from its checkpoint: what the bundle is compared with. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Manifest } from '../bundle/manifest.js';
import { type FloatWeights, rangeNames } from '../calibrate/float-evaluator.js';
import { checkpointWeights } from '../calibrate/float-weights.js';
import { parseCompletion } from '../checkpoint/crystal-completion.js';
import { BUNDLED, type ModelSource, openModelSource } from '../checkpoint/model-source.js';
import { EmbedError } from '../diagnostics/error.js';
import { buildGraph } from '../graph/build.js';
import type { Graph } from '../graph/graph.js';
import { type IntegerModel, lower } from '../lower/lower.js';
import type { StageContext } from '../progress.js';
import { type QuantizedMatrix, quantizedHash } from '../quantize/matrix.js';
import { parsePlan } from '../quantize/plan.js';
import { quantizeGraph } from '../quantize/quantize.js';
import { pruneToIds } from '../vocabulary/prune-vocabulary.js';

export interface ReferenceModel {
  readonly graph: Graph;
  /** The checkpoint's own, in float. */
  readonly weights: FloatWeights;
  /** Quantized by the plan of the bundle, as the graph names them. */
  readonly matrices: ReadonlyMap<string, QuantizedMatrix>;
  /** The integers of the bundle. */
  readonly model: IntegerModel;
}

/**
 * Opens the checkpoint that the manifest names, or the one at `modelPath`; the caller closes it. Throws EM2013 where it is not
 * there or not the one that the bundle was built from, and the errors of openModelSource.
 */
export function openReferenceSource(manifest: Manifest, modelPath: string | null): ModelSource {
  const path = modelPath ?? manifest.model.source;
  if (modelPath === null && path !== BUNDLED && !existsSync(path)) {
    const why = `the bundle was built from it, and it is not there (${resolve(path)})`;
    throw new EmbedError('EM2013', { where: path, why });
  }
  const { completion } = manifest.model;
  const given = completion === undefined ? null : parseCompletion(completion, 'manifest.json');
  const source = openModelSource(path, manifest.tokenizer, given);
  try {
    const found = source.checkpoint.sha256();
    if (found !== manifest.model.sha256) {
      const why = `its SHA-256 is ${found}, that of the bundle's model ${manifest.model.sha256}`;
      throw new EmbedError('EM2013', { where: source.path, why });
    }
    const { vocabulary } = manifest;
    return vocabulary === undefined ? source : pruneToIds(source, vocabulary, 'manifest.json');
  } catch (error) {
    source.checkpoint.close();
    throw error;
  }
}

/**
 * Quantizes the checkpoint by the plan and the ranges of the manifest. Throws EM2014 where that gives other weights, EM1401 and
 * EM2001 for a manifest whose context, ranges or plan cannot be those of the checkpoint.
 */
export async function quantizeReference(
  manifest: Manifest,
  { checkpoint, path }: ModelSource,
  context: StageContext,
): Promise<ReferenceModel> {
  const limit = checkpoint.config.contextLength;
  if (!(Number.isInteger(manifest.context) && manifest.context >= 1 && manifest.context <= limit)) {
    throw damaged(`context is ${manifest.context}, the model has ${limit} positions`);
  }
  const graph = buildGraph(checkpoint, manifest.context);
  const ranges = new Map(Object.entries(manifest.quantization.ranges ?? {}));
  const unknown = rangeNames(graph).find((name) => !Number.isFinite(ranges.get(name)));
  if (unknown !== undefined) throw damaged(`quantization.ranges has no number for ${unknown}`);
  const plan = parsePlan(manifest.plan, 'manifest.json');
  const matrices = await quantizeGraph(graph, checkpoint, plan, plan.name, context);
  const found = quantizedHash(matrices.values());
  if (found !== manifest.build.quantizedSha256) {
    const why = `quantized hash ${found}, the manifest has ${manifest.build.quantizedSha256}`;
    throw new EmbedError('EM2014', { where: path, why });
  }
  const weights = checkpointWeights(checkpoint, graph);
  const model = lower({ graph, matrices, vector: (name) => weights.vector(name), ranges });
  return { graph, weights, matrices, model };
}

const damaged = (why: string) => new EmbedError('EM1401', { where: 'manifest.json', why });
