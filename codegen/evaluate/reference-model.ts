/** The model of a bundle once more, from its checkpoint: what the bundle is compared with. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Manifest } from '../bundle/manifest.js';
import type { FloatWeights } from '../calibrate/float-evaluator.js';
import { checkpointWeights } from '../calibrate/float-weights.js';
import { BUNDLED, type ModelSource, openModelSource } from '../checkpoint/model-source.js';
import { EmbedError } from '../diagnostics/error.js';
import { buildGraph } from '../graph/build.js';
import type { Graph } from '../graph/graph.js';
import { type IntegerModel, lower } from '../lower/lower.js';
import type { StageContext } from '../progress.js';
import { quantizedHash } from '../quantize/matrix.js';
import { quantizeGraph } from '../quantize/quantize.js';

export interface ReferenceModel {
  /** Its checkpoint is open; the caller closes it. */
  readonly source: ModelSource;
  readonly graph: Graph;
  readonly weights: FloatWeights;
  /** The integers of the bundle. */
  readonly model: IntegerModel;
}

/**
 * Opens the checkpoint that the manifest names, or the one at `modelPath`, and quantizes it by the manifest's plan and ranges.
 * Throws EM2013 for a checkpoint that is not there or not the bundle's, EM2014 where its quantized weights are not the bundle's.
 */
export async function openReferenceModel(
  manifest: Manifest,
  modelPath: string | null,
  context: StageContext,
): Promise<ReferenceModel> {
  const path = modelPath ?? manifest.model.source;
  if (modelPath === null && path !== BUNDLED && !existsSync(path)) {
    throw new EmbedError('EM2013', {
      where: path,
      why: `the bundle was built from it, and it is not there (${resolve(path)})`,
    });
  }
  const source = openModelSource(path);
  try {
    return await quantizeAgain(manifest, source, context);
  } catch (error) {
    source.checkpoint.close();
    throw error;
  }
}

async function quantizeAgain(
  manifest: Manifest,
  source: ModelSource,
  context: StageContext,
): Promise<ReferenceModel> {
  const { checkpoint } = source;
  const found = checkpoint.sha256();
  if (found !== manifest.model.sha256) {
    throw new EmbedError('EM2013', {
      where: source.path,
      why: `its SHA-256 is ${found}, the bundle's model has ${manifest.model.sha256}`,
    });
  }
  const graph = buildGraph(checkpoint, manifest.context);
  const matrices = await quantizeGraph(graph, checkpoint, manifest.plan, manifest.plan.name, context);
  const quantized = quantizedHash(matrices.values());
  if (quantized !== manifest.build.quantizedSha256) {
    throw new EmbedError('EM2014', {
      where: source.path,
      why: `quantized hash ${quantized}, the manifest has ${manifest.build.quantizedSha256}`,
    });
  }
  const weights = checkpointWeights(checkpoint, graph);
  const ranges = new Map(Object.entries(manifest.quantization.ranges));
  const model = lower({ graph, matrices, vector: (name) => weights.vector(name), ranges });
  return { source, graph, weights, model };
}
