/** Where the tensors of a crystal are in the state dict of its PyTorch module. */
import { EmbedError } from '../diagnostics/error.js';
import type { CrystalConfig } from './config.js';
import { showShape } from './safetensors.js';
import type { TensorSource } from './tensor-source.js';
import type { TensorView } from './tensor-view.js';

/** Names of the state dict, by the names of the graph. The modules of flat and causal crystals are called otherwise. */
const modules = {
  flat: { field: 'attention', fieldNorm: 'norm1', mlpNorm: 'norm2' },
  causal: { field: 'geo_attn', fieldNorm: 'norm_geo', mlpNorm: 'norm_ffn' },
} as const;

/** The names of tensors that a crystal has, with their shapes: what files of every kind must provide. */
export function crystalShapes(config: CrystalConfig): Map<string, readonly number[]> {
  const { vocabSize, hiddenSize: width, intermediateSize, contextLength, neurons, heads } = config;
  const shapes = new Map<string, readonly number[]>();
  const linear = (name: string, rows: number, columns: number) =>
    shapes.set(`${name}.weight`, [rows, columns]).set(`${name}.bias`, [rows]);
  const norm = (name: string) => shapes.set(`${name}.weight`, [width]).set(`${name}.bias`, [width]);
  shapes.set('token_embed.weight', [vocabSize, width]).set('pos_embed.weight', [contextLength, width]);
  const names = heads > 0 ? modules.causal : modules.flat;
  if (heads > 0) {
    norm('norm_causal');
    for (const name of ['q', 'k', 'v', 'out']) linear(`causal_attn.${name}_proj`, width, width);
  }
  norm(names.fieldNorm);
  shapes.set(`${names.field}.positions`, [neurons, width]).set(`${names.field}.values`, [neurons, width]);
  shapes.set(`${names.field}.temperature`, [neurons]);
  norm(names.mlpNorm);
  linear('ffn.0', intermediateSize, width);
  linear('ffn.2', width, intermediateSize);
  linear('head', vocabSize, width);
  return shapes;
}

/** The name by which the graph knows a tensor of the state dict. */
function graphName(name: string): string {
  return name
    .replace(/^(attention|geo_attn)\./, 'field.')
    .replace(/^(norm1|norm_geo)\./, 'field_norm.')
    .replace(/^(norm2|norm_ffn)\./, 'mlp_norm.')
    .replace(/^norm_causal\./, 'attn_norm.')
    .replace(/^causal_attn\.(q|k|v|out)_proj\./, 'attn.$1.')
    .replace(/^ffn\.0\./, 'mlp.up.')
    .replace(/^ffn\.2\./, 'mlp.down.');
}

/**
 * The tensors of a crystal by the names of its graph; values of the neurons are transposed, a row a dimension. Bookkeeping of the
 * training (frozen flags, gradients, histories) is left alone. Throws EM1008 for a scale of temperatures that is not 1, EM1015,
 * EM1016.
 */
export function bindCrystalTensors(source: TensorSource, config: CrystalConfig): Map<string, TensorView> {
  const views = new Map<string, TensorView>();
  for (const [tensor, shape] of crystalShapes(config)) {
    const found = source.tensors.get(tensor);
    if (found === undefined) {
      const why = `${tensor} ${showShape(shape)} is in none of the weight files`;
      throw new EmbedError('EM1015', { where: source.where, why });
    }
    if (found.shape.length !== shape.length || found.shape.some((size, i) => size !== shape[i])) {
      const why = `expected ${showShape(shape)}, found ${showShape(found.shape)}`;
      throw new EmbedError('EM1016', { where: `${source.where}, ${tensor}`, why });
    }
    const transposed = tensor.endsWith('.values');
    const seen = transposed ? [shape[1]!, shape[0]!] : shape;
    views.set(graphName(tensor), { tensor, shape: seen, transposed, first: 0 });
  }
  refuseNeuronScales(source, config);
  return views;
}

/** Later modules multiply temperatures by a buffer, which is 1 unless it was used. */
function refuseNeuronScales(source: TensorSource, { neurons }: CrystalConfig): void {
  for (const name of ['attention.neuron_scale', 'geo_attn.neuron_scale']) {
    const found = source.tensors.get(name);
    if (found === undefined) continue;
    const plain = found.shape.length === 1 && found.shape[0] === neurons;
    if (plain && source.readRows(name, 0, neurons).every((value) => value === 1)) continue;
    const why = `${name} is not 1 everywhere: temperatures are scaled by it`;
    throw new EmbedError('EM1008', { where: source.where, why });
  }
}
