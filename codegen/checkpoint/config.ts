/** The shape of a decoder, read from config.json or a binary header, with every spelling resolved. */
export type RopeScaling =
  | { readonly kind: 'default' }
  | { readonly kind: 'linear'; readonly factor: number }
  /** A divisor for each frequency, highest first: headDim / 2 of them. */
  | { readonly kind: 'factors'; readonly factors: readonly number[] }
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContext: number;
    };

/** What all families have in common. */
interface DecoderShape {
  /** What the checkpoint calls itself, such as Qwen2ForCausalLM. */
  readonly architecture: string;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** Elements a head; heads x headDim need not equal hiddenSize. */
  readonly headDim: number;
  /** Positions the model was trained for. */
  readonly contextLength: number;
  readonly normEpsilon: number;
  /** Whether the head shares the embedding matrix. */
  readonly tiedEmbedding: boolean;
  readonly bosId: number | null;
  /** Ids that end a generation. */
  readonly eosIds: readonly number[];
}

/** Llama, Mistral, Qwen2, Qwen3. headDim is even. */
export interface LlamaConfig extends DecoderShape {
  readonly family: 'llama';
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
  /** Positions a token can look back on, itself included, or null for all of them. */
  readonly slidingWindow: number | null;
  /** Whether q and k are normalised a head before rope (Qwen3). */
  readonly qkNorm: boolean;
}

/** x times the normal distribution function, exact or by its tanh approximation (Hendrycks and Gimpel 2016). */
export type GeluKind = 'erf' | 'tanh';

/** GPT-2 and nanoGPT: learned positions, every query head with its own keys and values. */
export interface Gpt2Config extends DecoderShape {
  readonly family: 'gpt2';
  readonly gelu: GeluKind;
  /** What divides scores: sqrt(headDim), one more than the layer's number, both multiplied, or 1. */
  readonly scoreDivisor: { readonly headDim: boolean; readonly layer: boolean };
}

/**
 * Crystal: one layer of a geometric neuron field, flat or behind causal attention. No norm before the head; heads and headDim are 0
 * in flat ones.
 */
export interface CrystalConfig extends DecoderShape {
  readonly family: 'crystal';
  readonly neurons: number;
  /** Added to the magnitude of every neuron's temperature. */
  readonly temperatureFloor: number;
  /** Added to the sum of the neurons' weights. */
  readonly weightSumEpsilon: number;
  readonly gelu: GeluKind;
}

/** The family decides which graph builder understands the model (graph/build.ts). */
export type DecoderConfig = LlamaConfig | Gpt2Config | CrystalConfig;
