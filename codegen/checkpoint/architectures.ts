/** What the supported architectures of Hugging Face transformers do differently, as data. */
export interface Architecture {
  /** As config.json calls it in `architectures`. */
  readonly name: string;
  /** What `model_type` must be beside it. */
  readonly modelType: string;
  /** Elements a head when config.json has no head_dim: hiddenSize / heads, or a number. */
  readonly defaultHeadDim: 'hidden/heads' | number;
  /** Whether an absent num_key_value_heads means one key/value head for every query head. */
  readonly kvHeadsOptional: boolean;
  /**
   * Where the attention window comes from: nowhere, from sliding_window alone, or from sliding_window where
   * use_sliding_window is true, for the layers from max_window_layers on.
   */
  readonly window: 'none' | 'all-layers' | 'opt-in';
  /** Whether q, k and v always have a bias. */
  readonly qkvBias: boolean;
  /** Settings that give attention projections or the MLP a bias. */
  readonly biasSettings: readonly ('attention_bias' | 'mlp_bias')[];
  /** Whether q and k are normalised a head before rope. */
  readonly qkNorm: boolean;
}

export const architectures: readonly Architecture[] = [
  {
    name: 'LlamaForCausalLM',
    modelType: 'llama',
    defaultHeadDim: 'hidden/heads',
    kvHeadsOptional: true,
    window: 'none',
    qkvBias: false,
    biasSettings: ['attention_bias', 'mlp_bias'],
    qkNorm: false,
  },
  {
    name: 'MistralForCausalLM',
    modelType: 'mistral',
    defaultHeadDim: 'hidden/heads',
    kvHeadsOptional: false,
    window: 'all-layers',
    qkvBias: false,
    biasSettings: [],
    qkNorm: false,
  },
  {
    name: 'Qwen2ForCausalLM',
    modelType: 'qwen2',
    defaultHeadDim: 'hidden/heads',
    kvHeadsOptional: false,
    window: 'opt-in',
    qkvBias: true,
    biasSettings: [],
    qkNorm: false,
  },
  {
    name: 'Qwen3ForCausalLM',
    modelType: 'qwen3',
    defaultHeadDim: 128,
    kvHeadsOptional: false,
    window: 'opt-in',
    qkvBias: false,
    biasSettings: ['attention_bias'],
    qkNorm: true,
  },
];
