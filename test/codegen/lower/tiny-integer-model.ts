import { rangeNames } from '../../../codegen/calibrate/float-evaluator.js';
import { checkpointWeights } from '../../../codegen/calibrate/float-weights.js';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { foldGains } from '../../../codegen/lower/fold-gains.js';
import { type IntegerModel, lower } from '../../../codegen/lower/lower.js';
import type { FormatName } from '../../../codegen/quantize/format.js';
import { roundToNearest } from '../../../codegen/quantize/round-to-nearest.js';
import type { WrittenTensor } from '../checkpoint/safetensors-writer.js';
import { type Json, type TinyChanges, tinyTensor, writeTinyModel } from '../checkpoint/tiny-model.js';

/** Magnitude of every range: what calibration would find, without the last bits of a float evaluation in it. */
const MAGNITUDE = 3;

/** The tiny model, changed as asked and written into `folder`, in integers; a function of its arguments alone. */
export function tinyIntegerModel(
  folder: string,
  context: number,
  formatOf: (matrix: string) => FormatName,
  changes: TinyChanges = {},
): IntegerModel {
  const checkpoint = openCheckpoint(writeTinyModel(folder, changes));
  try {
    const graph = buildGraph(checkpoint, context);
    const weights = checkpointWeights(checkpoint, graph);
    const matrices = new Map(
      graph.matrices.map(({ name, tensor, rows, columns }) => {
        const read = (first: number, count: number) => checkpoint.readRows(tensor, first, count);
        return [name, roundToNearest({ name, rows, columns, read }, formatOf(name))];
      }),
    );
    const ranges = new Map(rangeNames(graph).map((range) => [range, MAGNITUDE]));
    return lower({
      graph,
      matrices: foldGains(graph, matrices),
      vector: (vector) => weights.vector(vector),
      ranges,
    });
  } finally {
    checkpoint.close();
  }
}

/** What makes the tiny model one of Qwen3: q/k norms and a head of its own. */
export function tinyQwen3(config: Json = {}): TinyChanges {
  const norms = ['0.self_attn.q_norm', '0.self_attn.k_norm', '1.self_attn.q_norm', '1.self_attn.k_norm'];
  const shapes: [string, number[]][] = norms.map((norm) => [`model.layers.${norm}.weight`, [4]]);
  shapes.push(['lm_head.weight', [12, 16]]);
  const tensors: Record<string, WrittenTensor> = {};
  for (const [name, shape] of shapes) tensors[name] = tinyTensor(name, shape);
  const family = { architectures: ['Qwen3ForCausalLM'], model_type: 'qwen3', head_dim: 4 };
  return { config: { ...family, tie_word_embeddings: false, ...config }, tensors };
}

/** What gives the tiny model a bias in its first layer. */
export function tinyBias(): TinyChanges {
  const name = 'model.layers.0.self_attn.k_proj.bias';
  return { tensors: { [name]: tinyTensor(name, [8]) } };
}
