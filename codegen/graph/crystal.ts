/**
 * Crystal as a graph: learned positions; in causal ones attention; a geometric neuron field, whose neurons answer by their distance
 * to the activation; an MLP with GELU; a head of its own without a norm before it.
 */
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { CrystalConfig } from '../checkpoint/config.js';
import type { BufferInfo, Graph, Op } from './graph.js';
import { buffersByName, int8Buffer, int32Buffer, LayerNormBuilder } from './layernorm-builder.js';
import { queryGain } from './llama.js';

/** The ops of the layer, by the names that bindCrystalTensors gives to tensors. Plans know matrices as parts of layer 0. */
class CrystalBuilder extends LayerNormBuilder<CrystalConfig> {
  constructor(
    checkpoint: Checkpoint,
    readonly config: CrystalConfig,
  ) {
    super(checkpoint);
  }

  /**
   * Distances are differences of large squares, and many small weights add up: both want more than int8 of their input, so what
   * int8 leaves goes through the matrix as well.
   */
  field(): Op[] {
    const { hiddenSize, neurons, temperatureFloor, weightSumEpsilon } = this.config;
    const at = 'layers.0.field';
    const positions = this.matrix(`${at}.positions`, 'field.positions', neurons, hiddenSize);
    const values = this.matrix(`${at}.values`, 'field.values', hiddenSize, neurons);
    const temperatures = `${at}.temperatures`;
    this.vectors.push({
      name: temperatures,
      tensor: 'field.temperature',
      length: neurons,
      stored: 3 * neurons,
    });
    const range = `${at}.dots`;
    const product = (name: string, matrix: string, input: string, output: string, range: string): Op => ({
      ...{ kind: 'linear', name, matrix, bias: null, input, output, range, gain: 1 },
    });
    return [
      this.norm('field_norm', 'layers.0.field_norm', 'field_norm'),
      { kind: 'quantize', name: 'field_in', input: 'n', output: 'n8' },
      { kind: 'residue', name: 'field_rest', input: 'n', quantized: 'n8', output: 'r' },
      { kind: 'quantize', name: 'field_fine', input: 'r', output: 'r8' },
      product('dots', positions, 'n8', 'dots', range),
      product('fine_dots', positions, 'r8', 'fine', range),
      { kind: 'add', name: 'dots_add', input: 'fine', output: 'dots', range },
      {
        ...{ kind: 'neurons', name: 'field', input: 'n', dots: 'dots', output: 'w', positions, temperatures },
        ...{ temperatureFloor, epsilon: weightSumEpsilon, range },
      },
      { kind: 'quantize', name: 'weights_in', input: 'w', output: 'w8' },
      { kind: 'residue', name: 'weights_rest', input: 'w', quantized: 'w8', output: 'wr' },
      { kind: 'quantize', name: 'weights_fine', input: 'wr', output: 'wr8' },
      product('values', values, 'w8', 'y', 'residual'),
      product('fine_values', values, 'wr8', 'z', 'residual'),
      { kind: 'add', name: 'field_add', input: 'y', output: 'x', range: 'residual' },
      { kind: 'add', name: 'fine_add', input: 'z', output: 'x', range: 'residual' },
    ];
  }
}

function crystalBuffers(config: CrystalConfig): Map<string, BufferInfo> {
  const { hiddenSize, intermediateSize, vocabSize, neurons, heads } = config;
  const attention =
    heads === 0
      ? []
      : [
          ...['q', 'k', 'v', 'att'].map((name) => int32Buffer(name, hiddenSize)),
          int8Buffer('att8', hiddenSize),
        ];
  return buffersByName([
    ...['x', 'n', 'r', 'y', 'z'].map((name) => int32Buffer(name, hiddenSize)),
    ...['n8', 'r8', 'x8'].map((name) => int8Buffer(name, hiddenSize)),
    ...attention,
    ...['dots', 'fine', 'w', 'wr'].map((name) => int32Buffer(name, neurons)),
    ...['w8', 'wr8'].map((name) => int8Buffer(name, neurons)),
    ...['up', 'h'].map((name) => int32Buffer(name, intermediateSize)),
    int8Buffer('h8', intermediateSize),
    int32Buffer('logits', vocabSize),
  ]);
}

/** Builds the graph of a crystal for `context` positions, which is also how many rows of positions it keeps. */
export function crystalGraph(checkpoint: Checkpoint<CrystalConfig>, context: number): Graph {
  const { config } = checkpoint;
  const { vocabSize, hiddenSize } = config;
  const builder = new CrystalBuilder(checkpoint, config);
  const prologue = builder.embedding('token_embed.weight', 'pos_embed.weight', context);
  const names = { norm: 'attn_norm', q: 'attn.q', k: 'attn.k', v: 'attn.v', o: 'attn.out' };
  const attention = config.heads === 0 ? [] : builder.attention(0, names, queryGain(config.headDim));
  const mlp = { norm: 'mlp_norm', up: 'mlp.up', down: 'mlp.down' };
  const layer = [...attention, ...builder.field(), ...builder.feedForward(0, mlp)];
  const head = { matrix: 'head', tensor: 'head', input: 'x8', output: 'logits', range: 'logits' };
  const epilogue: Op[] = [
    { kind: 'quantize', name: 'head_in', input: 'x', output: 'x8' },
    builder.linear('head', head, vocabSize, hiddenSize),
  ];
  return {
    family: config.family,
    vocabSize,
    context,
    layerCount: 1,
    buffers: crystalBuffers(config),
    matrices: builder.matrices,
    vectors: builder.vectors,
    rope: null,
    cache: { kvHeads: config.kvHeads, headDim: config.headDim },
    prologue,
    layers: [layer],
    epilogue,
    logits: 'logits',
  };
}
