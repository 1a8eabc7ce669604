/**
 * Crystal as a graph: learned positions; in causal ones attention; a geometric neuron field, whose neurons answer by their distance
 * to the activation; an MLP with GELU; a head of its own without a norm before it.
 */
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { CrystalConfig } from '../checkpoint/config.js';
import type { BufferInfo, Graph, Op } from './graph.js';
import { GraphBuilder } from './graph-builder.js';
import { queryGain } from './llama.js';

/** The ops of the layer, by the names that bindCrystalTensors gives to tensors. Plans know matrices as parts of layer 0. */
class CrystalBuilder extends GraphBuilder {
  constructor(
    checkpoint: Checkpoint,
    readonly config: CrystalConfig,
  ) {
    super(checkpoint);
  }

  norm(name: string, tensor: string): Op {
    const { hiddenSize, normEpsilon: epsilon } = this.config;
    const vector = `layers.0.${name}`;
    return this.layernorm(
      name,
      { vector, tensor, input: 'x', output: 'n', range: vector, epsilon },
      hiddenSize,
    );
  }

  attention(): Op[] {
    const { hiddenSize, heads, headDim } = this.config;
    const project = (name: 'q' | 'k' | 'v', gain: number) => {
      const place = { matrix: `layers.0.attn.${name}`, tensor: `attn.${name}`, range: `layers.0.${name}` };
      return this.linear(name, { ...place, input: 'n8', output: name, gain }, hiddenSize, hiddenSize);
    };
    const o = {
      matrix: 'layers.0.attn.o',
      tensor: 'attn.out',
      input: 'att8',
      output: 'y',
      range: 'residual',
    };
    const shape = { layer: 0, heads, kvHeads: heads, headDim, window: null };
    return [
      this.norm('attn_norm', 'attn_norm'),
      { kind: 'quantize', name: 'attn_in', input: 'n', output: 'n8' },
      project('q', queryGain(headDim)),
      project('k', 1),
      project('v', 1),
      { kind: 'attention', name: 'attn', query: 'q', key: 'k', value: 'v', output: 'att', ...shape },
      { kind: 'quantize', name: 'o_in', input: 'att', output: 'att8' },
      this.linear('o', o, hiddenSize, hiddenSize),
      { kind: 'add', name: 'attn_add', input: 'y', output: 'x', range: 'residual' },
    ];
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
      this.norm('field_norm', 'field_norm'),
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

  feedForward(): Op[] {
    const { hiddenSize, intermediateSize, gelu } = this.config;
    const up = {
      matrix: 'layers.0.mlp.up',
      tensor: 'mlp.up',
      input: 'n8',
      output: 'up',
      range: 'layers.0.up',
    };
    const down = {
      matrix: 'layers.0.mlp.down',
      tensor: 'mlp.down',
      input: 'h8',
      output: 'y',
      range: 'residual',
    };
    return [
      this.norm('mlp_norm', 'mlp_norm'),
      { kind: 'quantize', name: 'mlp_in', input: 'n', output: 'n8' },
      this.linear('up', up, intermediateSize, hiddenSize),
      { kind: 'gelu', name: 'act', form: gelu, input: 'up', output: 'h', range: 'layers.0.act' },
      { kind: 'quantize', name: 'down_in', input: 'h', output: 'h8' },
      this.linear('down', down, hiddenSize, intermediateSize),
      { kind: 'add', name: 'mlp_add', input: 'y', output: 'x', range: 'residual' },
    ];
  }
}

function crystalBuffers(config: CrystalConfig): Map<string, BufferInfo> {
  const { hiddenSize, intermediateSize, vocabSize, neurons, heads } = config;
  const int32 = (name: string, width: number): BufferInfo => ({ name, width, kind: 'int32' });
  const int8 = (name: string, width: number): BufferInfo => ({ name, width, kind: 'int8' });
  const attention =
    heads === 0
      ? []
      : [...['q', 'k', 'v', 'att'].map((name) => int32(name, hiddenSize)), int8('att8', hiddenSize)];
  const buffers = [
    ...['x', 'n', 'r', 'y', 'z'].map((name) => int32(name, hiddenSize)),
    ...['n8', 'r8', 'x8'].map((name) => int8(name, hiddenSize)),
    ...attention,
    ...['dots', 'fine', 'w', 'wr'].map((name) => int32(name, neurons)),
    ...['w8', 'wr8'].map((name) => int8(name, neurons)),
    ...['up', 'h'].map((name) => int32(name, intermediateSize)),
    int8('h8', intermediateSize),
    int32('logits', vocabSize),
  ];
  return new Map(buffers.map((buffer) => [buffer.name, buffer]));
}

/** Builds the graph of a crystal for `context` positions, which is also how many rows of positions it keeps. */
export function crystalGraph(checkpoint: Checkpoint<CrystalConfig>, context: number): Graph {
  const { config } = checkpoint;
  const { vocabSize, hiddenSize } = config;
  const builder = new CrystalBuilder(checkpoint, config);
  const embed = builder.matrix('embed', 'token_embed.weight', vocabSize, hiddenSize);
  const positions = builder.matrix('positions', 'pos_embed.weight', context, hiddenSize);
  const attention = config.heads === 0 ? [] : builder.attention();
  const layer = [...attention, ...builder.field(), ...builder.feedForward()];
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
    prologue: [
      { kind: 'embed', name: 'embed', index: 'token', matrix: embed, output: 'x', range: 'residual' },
      {
        kind: 'embed',
        name: 'position',
        index: 'position',
        matrix: positions,
        output: 'y',
        range: 'residual',
      },
      { kind: 'add', name: 'position_add', input: 'y', output: 'x', range: 'residual' },
    ],
    layers: [layer],
    epilogue,
    logits: 'logits',
  };
}
