/** The shape of a decoder, read from config.json or a binary header, with every spelling resolved. */
export type RopeScaling =
  | { readonly kind: 'default' }
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContext: number;
    };

export interface DecoderConfig {
  /** The family whose graph builder understands this model. */
  readonly family: 'llama';
  /** What the checkpoint calls itself, such as Qwen2ForCausalLM. */
  readonly architecture: string;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** Elements a head; heads x headDim need not equal hiddenSize. Even. */
  readonly headDim: number;
  /** Positions the model was trained for. */
  readonly contextLength: number;
  readonly normEpsilon: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
  /** Positions a token can look back on, itself included, or null for all of them. */
  readonly slidingWindow: number | null;
  /** Whether q and k are normalised a head before rope (Qwen3). */
  readonly qkNorm: boolean;
  /** Whether the head shares the embedding matrix. */
  readonly tiedEmbedding: boolean;
  readonly bosId: number | null;
  /** Ids that end a generation. */
  readonly eosIds: readonly number[];
}
