/** A model with its texts, as the benches of plans and methods compare them. */
import { parameterCount } from '../../codegen/bundle/compose-manifest.js';
import { provideNativeLibrary } from '../../codegen/calibrate/native/provide-native-library.js';
import type { Checkpoint } from '../../codegen/checkpoint/checkpoint.js';
import { openModelSource } from '../../codegen/checkpoint/model-source.js';
import { readIds, readText } from '../../codegen/evaluate/evaluation-text.js';
import { buildGraph } from '../../codegen/graph/build.js';
import { contextLength } from '../../codegen/graph/context-length.js';
import type { Graph } from '../../codegen/graph/graph.js';
import { silentProgress } from '../../codegen/progress.js';

export interface ComparedModel {
  readonly graph: Graph;
  readonly checkpoint: Checkpoint;
  /** Ids of the text that weights are fitted to. */
  readonly calibration: Int32Array;
  /** Ids of the text that figures are measured on. */
  readonly validation: Int32Array;
}

/**
 * MODEL CALIBRATION VALIDATION of a command line: a model as --model takes it, texts as --calibration does. What is computed with it is
 * computed natively where a build would.
 */
export async function openComparedModel(
  [model, calibration, validation]: readonly string[],
  usage: string,
): Promise<ComparedModel & { readonly name: string }> {
  if (model === undefined || calibration === undefined || validation === undefined) {
    throw new RangeError(`usage: ${usage}`);
  }
  const ids = [calibration, validation].every((path) => path.endsWith('.u16'));
  const { name, checkpoint, tokenizer } = openModelSource(model, !ids);
  const graph = buildGraph(checkpoint, contextLength(checkpoint.config, null, silentProgress), true);
  await provideNativeLibrary(parameterCount(graph), {
    progress: silentProgress,
    signal: new AbortController().signal,
  });
  const read = (path: string) =>
    tokenizer === null || path.endsWith('.u16')
      ? readIds(path, graph.vocabSize).ids
      : readText(path, tokenizer, checkpoint.config.eosIds).ids;
  return { name, graph, checkpoint, calibration: read(calibration), validation: read(validation) };
}

/** Windows of so many ids, one after another, of the first `tokens`; at least one. */
export function windowsOf(ids: Int32Array, length: number, tokens: number): readonly (readonly number[])[] {
  const count = Math.max(1, Math.floor(Math.min(tokens, ids.length) / length));
  return Array.from({ length: count }, (_, w) => [...ids.subarray(w * length, (w + 1) * length)]);
}

/** Nats as a table gives them. */
export const thousandths = (nats: number): string => (1000 * nats).toFixed(2);
