/** The model of a bundle once more: its integers, and its checkpoint in float, which they are compared with. */
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
import { unfoldGains } from '../lower/fold-gains.js';
import { type IntegerModel, lower } from '../lower/lower.js';
import type { StageContext } from '../progress.js';
import { foldPlaces } from '../quantize/awq/fold-places.js';
import { foldedSource } from '../quantize/folds/folded-source.js';
import { parseFolds } from '../quantize/folds/folds.js';
import { type QuantizedMatrix, quantizedHash } from '../quantize/matrix.js';
import { parsePlan } from '../quantize/plan.js';
import { rotaryPlaces } from '../quantize/rotary/rotary-places.js';
import { pruneToIds } from '../vocabulary/prune-vocabulary.js';
import { readBundleMatrices } from './bundle-matrices.js';

export interface ReferenceModel {
  readonly graph: Graph;
  /** The checkpoint's own, in float. */
  readonly weights: FloatWeights;
  /** The quantized weights of the bundle, as the graph names them. */
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
    const whole = vocabulary === undefined ? source : pruneToIds(source, vocabulary, 'manifest.json');
    return withFolds(whole, manifest);
  } catch (error) {
    source.checkpoint.close();
    throw error;
  }
}

/** The source with what was folded into it when the bundle was made. Throws EM1401 for such as the model cannot have. */
function withFolds(source: ModelSource, { quantization, plan }: Manifest): ModelSource {
  if (quantization.folds === undefined) return source;
  const graph = buildGraph(source.checkpoint, 1, plan.rotate);
  const places = [...foldPlaces(graph), ...rotaryPlaces(graph)];
  return foldedSource(source, graph, parseFolds(quantization.folds, places, 'manifest.json'));
}

/**
 * The integers of a bundle, from its blob and the ranges of its manifest, beside the checkpoint in float. Throws what
 * readBundleMatrices throws, EM2014 where the weights are not those that the manifest names, EM1401 and EM2001 for a manifest whose
 * context, ranges or plan cannot be those of the checkpoint.
 */
export async function readReference(
  bundle: string,
  manifest: Manifest,
  { checkpoint }: ModelSource,
  context: StageContext,
): Promise<ReferenceModel> {
  const limit = checkpoint.config.contextLength;
  if (!(Number.isInteger(manifest.context) && manifest.context >= 1 && manifest.context <= limit)) {
    throw damaged(`context is ${manifest.context}, the model has ${limit} positions`);
  }
  const graph = buildGraph(checkpoint, manifest.context, manifest.plan.rotate);
  const ranges = new Map(Object.entries(manifest.quantization.ranges ?? {}));
  const unknown = rangeNames(graph).find((name) => !Number.isFinite(ranges.get(name)));
  if (unknown !== undefined) throw damaged(`quantization.ranges has no number for ${unknown}`);
  parsePlan(manifest.plan, 'manifest.json');
  const folded = await readBundleMatrices(bundle, manifest, graph, context);
  const weights = checkpointWeights(checkpoint, graph);
  const model = lower({ graph, matrices: folded, vector: (name) => weights.vector(name), ranges });
  const found = quantizedHash(model.matrices.values());
  if (found !== manifest.build.quantizedSha256) {
    const why = `quantized hash ${found}, the manifest has ${manifest.build.quantizedSha256}`;
    throw new EmbedError('EM2014', { where: bundle, why });
  }
  return { graph, weights, matrices: unfoldGains(graph, folded), model };
}

const damaged = (why: string) => new EmbedError('EM1401', { where: 'manifest.json', why });
