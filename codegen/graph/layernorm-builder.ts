import type { DecoderConfig } from '../checkpoint/config.js';
import type { BufferInfo, Op } from './graph.js';
import { GraphBuilder } from './graph-builder.js';

/** Matrices of a layer by the names of their tensors, without .weight and .bias. */
export interface AttentionTensors {
  readonly norm: string;
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly o: string;
}

export interface MlpTensors {
  readonly norm: string;
  readonly up: string;
  readonly down: string;
}

/** What families with layer norms, learned positions and an MLP with GELU have in common. */
export abstract class LayerNormBuilder<
  Config extends DecoderConfig & { readonly normEpsilon: number; readonly gelu: 'erf' | 'tanh' },
> extends GraphBuilder {
  abstract readonly config: Config;

  /** The token's row and the position's, added. */
  embedding(tokens: string, positions: string, context: number, aliases: string[] = []): Op[] {
    const { vocabSize, hiddenSize } = this.config;
    const embed = this.matrix('embed', tokens, vocabSize, hiddenSize, aliases);
    const position = this.matrix('positions', positions, context, hiddenSize);
    const range = 'residual';
    return [
      { kind: 'embed', name: 'embed', index: 'token', matrix: embed, output: 'x', range },
      { kind: 'embed', name: 'position', index: 'position', matrix: position, output: 'y', range },
      { kind: 'add', name: 'position_add', input: 'y', output: 'x', range },
    ];
  }

  norm(name: string, vector: string, tensor: string): Op {
    const { hiddenSize, normEpsilon: epsilon } = this.config;
    return this.layernorm(
      name,
      { vector, tensor, input: 'x', output: 'n', range: vector, epsilon },
      hiddenSize,
    );
  }

  attention(layer: number, tensors: AttentionTensors, queryGain: number): Op[] {
    const { hiddenSize, heads, headDim } = this.config;
    const at = `layers.${layer}`;
    const project = (name: 'q' | 'k' | 'v', gain: number) => {
      const place = { matrix: `${at}.attn.${name}`, tensor: tensors[name], range: `${at}.${name}` };
      return this.linear(name, { ...place, input: 'n8', output: name, gain }, hiddenSize, hiddenSize);
    };
    const o = {
      ...{ matrix: `${at}.attn.o`, tensor: tensors.o },
      ...{ input: 'att8', output: 'y', range: 'residual' },
    };
    const shape = { layer, heads, kvHeads: heads, headDim, window: null };
    return [
      this.norm('attn_norm', `${at}.attn_norm`, tensors.norm),
      { kind: 'quantize', name: 'attn_in', input: 'n', output: 'n8' },
      project('q', queryGain),
      project('k', 1),
      project('v', 1),
      { kind: 'attention', name: 'attn', query: 'q', key: 'k', value: 'v', output: 'att', ...shape },
      { kind: 'quantize', name: 'o_in', input: 'att', output: 'att8' },
      this.linear('o', o, hiddenSize, hiddenSize),
      { kind: 'add', name: 'attn_add', input: 'y', output: 'x', range: 'residual' },
    ];
  }

  feedForward(layer: number, tensors: MlpTensors): Op[] {
    const { hiddenSize, intermediateSize, gelu } = this.config;
    const at = `layers.${layer}`;
    const up = {
      ...{ matrix: `${at}.mlp.up`, tensor: tensors.up },
      ...{ input: 'n8', output: 'up', range: `${at}.up` },
    };
    const down = {
      ...{ matrix: `${at}.mlp.down`, tensor: tensors.down },
      ...{ input: 'h8', output: 'y', range: 'residual' },
    };
    return [
      this.norm('mlp_norm', `${at}.mlp_norm`, tensors.norm),
      { kind: 'quantize', name: 'mlp_in', input: 'n', output: 'n8' },
      this.linear('up', up, intermediateSize, hiddenSize),
      { kind: 'gelu', name: 'act', form: gelu, input: 'up', output: 'h', range: `${at}.act` },
      { kind: 'quantize', name: 'down_in', input: 'h', output: 'h8' },
      this.linear('down', down, hiddenSize, intermediateSize),
      { kind: 'add', name: 'mlp_add', input: 'y', output: 'x', range: 'residual' },
    ];
  }
}

export const int32Buffer = (name: string, width: number): BufferInfo => ({ name, width, kind: 'int32' });
export const int8Buffer = (name: string, width: number): BufferInfo => ({ name, width, kind: 'int8' });

export function buffersByName(buffers: readonly BufferInfo[]): Map<string, BufferInfo> {
  return new Map(buffers.map((buffer) => [buffer.name, buffer]));
}
