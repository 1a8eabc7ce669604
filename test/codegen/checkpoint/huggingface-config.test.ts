import t from 'tap';
import { readHuggingFaceConfig } from '../../../codegen/checkpoint/huggingface-config.js';
import { Settings } from '../../../codegen/checkpoint/settings.js';
import type { DiagnosticCode } from '../../../codegen/diagnostics/catalog.js';
import { expectError } from './expect-error.js';
import { type Json, tinyConfig } from './tiny-model.js';

/** Reads the tiny config with keys replaced; undefined removes one. */
function read(changes: Json, generation?: Json) {
  const values = Object.fromEntries(
    Object.entries({ ...tinyConfig, ...changes }).filter(([, value]) => value !== undefined),
  );
  const generationSettings = generation ? new Settings('generation_config.json', generation) : null;
  return readHuggingFaceConfig(new Settings('config.json', values), generationSettings);
}

const mistral = { architectures: ['MistralForCausalLM'], model_type: 'mistral' };
const qwen2 = { architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2' };
const qwen3 = { architectures: ['Qwen3ForCausalLM'], model_type: 'qwen3' };

t.test('a Llama with everything said', (t) => {
  t.strictSame(read({ head_dim: 6, attention_bias: true, mlp_bias: false }), {
    config: {
      family: 'llama',
      architecture: 'LlamaForCausalLM',
      vocabSize: 12,
      hiddenSize: 16,
      intermediateSize: 20,
      layers: 2,
      heads: 4,
      kvHeads: 2,
      headDim: 6,
      contextLength: 64,
      normEpsilon: 1e-5,
      ropeTheta: 10000,
      ropeScaling: { kind: 'default' },
      slidingWindow: null,
      qkNorm: false,
      tiedEmbedding: true,
      bosId: 1,
      eosIds: [2],
    },
    biases: { qkv: 'required', o: 'required', mlp: 'forbidden' },
  });
  t.end();
});

t.test('defaults are those of transformers', (t) => {
  const absent = { rope_theta: undefined, num_key_value_heads: undefined, tie_word_embeddings: undefined };
  const { config } = read({ ...absent, bos_token_id: undefined, eos_token_id: null, hidden_act: undefined });
  t.match(config, { ropeTheta: 10000, kvHeads: 4, headDim: 4, tiedEmbedding: false, bosId: null });
  t.strictSame(config.eosIds, []);
  t.equal(read(mistral).config.slidingWindow, null, 'a window as wide as the context is none');
  t.equal(read({ ...mistral, max_position_embeddings: 8192 }).config.slidingWindow, 4096);
  t.match(read(qwen3).config, { headDim: 128, qkNorm: true });
  t.equal(read({ max_position_embeddings: 10_485_760 }).config.contextLength, 2 ** 20);
  t.end();
});

t.test('architectures differ in biases, norms and heads', (t) => {
  t.strictSame(read(qwen2).biases, { qkv: 'required', o: 'optional', mlp: 'optional' });
  t.strictSame(read(mistral).biases, { qkv: 'optional', o: 'optional', mlp: 'optional' });
  t.strictSame(read({ ...qwen3, attention_bias: false }).biases, {
    qkv: 'forbidden',
    o: 'forbidden',
    mlp: 'optional',
  });
  t.equal(read({ ...mistral, head_dim: null }).config.headDim, 4);
  t.equal(read({ ...qwen2, num_key_value_heads: null }).config.kvHeads, 4);
  t.end();
});

t.test('rope settings, old and new spelling', (t) => {
  const llama3 = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 32 };
  const scaling = {
    kind: 'llama3',
    factor: 8,
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
    originalContext: 32,
  };
  const cases: [Json, number, object][] = [
    [{ rope_theta: 5e5, rope_scaling: null }, 5e5, { kind: 'default' }],
    [{ rope_scaling: { type: 'linear', factor: 4 } }, 10000, { kind: 'linear', factor: 4 }],
    [
      { rope_scaling: { rope_type: 'linear', type: 'linear', factor: 2.5 } },
      10000,
      { kind: 'linear', factor: 2.5 },
    ],
    [{ rope_theta: 5e5, rope_scaling: { rope_type: 'llama3', ...llama3 } }, 5e5, scaling],
    [
      { rope_theta: undefined, rope_parameters: { rope_type: 'llama3', rope_theta: 7e5, ...llama3 } },
      7e5,
      scaling,
    ],
    [
      { rope_theta: undefined, rope_parameters: { rope_type: 'default', rope_theta: 1e6 } },
      1e6,
      { kind: 'default' },
    ],
    [{ rope_parameters: { rope_theta: 10000 } }, 10000, { kind: 'default' }],
    [
      { rope_scaling: { type: 'linear', factor: 4 }, rope_parameters: { rope_type: 'linear', factor: 4 } },
      10000,
      { kind: 'linear', factor: 4 },
    ],
  ];
  for (const [changes, ropeTheta, ropeScaling] of cases) {
    const { config } = read(changes);
    t.strictSame([config.ropeTheta, config.ropeScaling], [ropeTheta, ropeScaling], JSON.stringify(changes));
  }
  t.end();
});

t.test('attention windows', (t) => {
  const sliding = ['sliding_attention', 'sliding_attention'];
  const full = ['full_attention', 'full_attention'];
  const opted = { ...qwen2, use_sliding_window: true, sliding_window: 8 };
  const cases: [Json, number | null][] = [
    [{ sliding_window: null, layer_types: full }, null],
    [{ ...mistral, sliding_window: 8 }, 8],
    [{ ...mistral, sliding_window: 63 }, 63],
    [{ ...mistral, sliding_window: 64 }, null],
    [{ ...mistral, sliding_window: null }, null],
    [{ ...mistral, sliding_window: 8, layer_types: sliding }, 8],
    [{ ...qwen2, use_sliding_window: false, sliding_window: 8, max_window_layers: 1 }, null],
    [{ ...qwen2, sliding_window: 8 }, null],
    [{ ...opted, max_window_layers: 0 }, 8],
    [{ ...opted, max_window_layers: 2 }, null],
    [{ ...opted, layer_types: sliding }, 8],
    [{ ...opted, layer_types: full }, null],
  ];
  for (const [changes, window] of cases)
    t.equal(read(changes).config.slidingWindow, window, JSON.stringify(changes));
  const mixed = ['full_attention', 'sliding_attention'];
  const refused: [Json, DiagnosticCode, RegExp][] = [
    [{ sliding_window: 8 }, 'EM1008', /sliding_window is 8; supported: null for Llama/],
    [{ layer_types: sliding }, 'EM1008', /layer_types/],
    [{ ...mistral, sliding_window: 8, layer_types: full }, 'EM1008', /layer_types/],
    [{ ...mistral, sliding_window: 8, layer_types: mixed }, 'EM1008', /layer_types/],
    [{ ...mistral, sliding_window: 0 }, 'EM1006', /sliding_window is 0/],
    [{ ...opted, max_window_layers: 1 }, 'EM1008', /max_window_layers is 1/],
    [{ ...opted }, 'EM1005', /max_window_layers is missing/],
    [{ ...opted, layer_types: mixed }, 'EM1008', /layer_types/],
    [{ ...opted, layer_types: ['full_attention'] }, 'EM1006', /a list of 2 layer types/],
    [{ ...opted, layer_types: ['full_attention', 'chunked_attention'] }, 'EM1008', /chunked_attention/],
    [{ ...qwen2, use_sliding_window: false, layer_types: sliding }, 'EM1008', /layer_types/],
    [{ ...qwen2, use_sliding_window: true }, 'EM1005', /sliding_window is missing/],
  ];
  for (const [changes, code, pattern] of refused) expectError(t, code, pattern, () => read(changes));
  t.end();
});

t.test('end ids of both files are honoured together', (t) => {
  t.strictSame(read({ eos_token_id: [2, 3] }).config.eosIds, [2, 3]);
  t.strictSame(read({}, { eos_token_id: 7 }).config.eosIds, [2, 7]);
  t.strictSame(read({ eos_token_id: null }, { eos_token_id: [5, 5, 1] }).config.eosIds, [5, 1]);
  t.strictSame(read({}, {}).config.eosIds, [2]);
  for (const bad of [12, -1, 1.5, '2', [2, 12], {}]) {
    expectError(t, 'EM1006', /config.json: eos_token_id .* ids from 0 to 11/, () =>
      read({ eos_token_id: bad }),
    );
    expectError(t, 'EM1006', /generation_config.json: eos_token_id/, () => read({}, { eos_token_id: bad }));
  }
  expectError(t, 'EM1006', /one token id/, () => read({ bos_token_id: [1, 2] }));
  t.end();
});

t.test('keys that are missing are named', (t) => {
  const keys = [
    'vocab_size',
    'hidden_size',
    'intermediate_size',
    'num_hidden_layers',
    'num_attention_heads',
    'max_position_embeddings',
    'rms_norm_eps',
  ];
  for (const key of keys) {
    expectError(t, 'EM1005', new RegExp(`: ${key} is missing`), () => read({ [key]: undefined }));
    expectError(t, 'EM1005', new RegExp(`: ${key} is missing`), () => read({ [key]: null }));
  }
  expectError(t, 'EM1005', /architectures is missing; supported: Llama.*, Mistral.*, Qwen2.*, Qwen3/, () =>
    read({ architectures: undefined }),
  );
  expectError(t, 'EM1005', /num_key_value_heads is missing/, () =>
    read({ ...mistral, num_key_value_heads: undefined }),
  );
  expectError(t, 'EM1005', /rope_scaling.factor is missing/, () =>
    read({ rope_scaling: { type: 'linear' } }),
  );
  expectError(t, 'EM1005', /rope_parameters.low_freq_factor is missing/, () =>
    read({ rope_parameters: { rope_type: 'llama3', factor: 8 } }),
  );
  t.end();
});

t.test('values out of range are named with their range', (t) => {
  const cases: [Json, RegExp][] = [
    ...[0, -1, 1.5, '16', 2 ** 21, true].map((bad): [Json, RegExp] => [{ vocab_size: bad }, /vocab_size is/]),
    [{ hidden_size: 8193 }, /from 1 to 8192/],
    [{ num_hidden_layers: 513 }, /from 1 to 512/],
    [{ num_attention_heads: 3 }, /a divisor of hidden_size \(16\)/],
    [{ num_key_value_heads: 3 }, /4 query heads cannot share 3/],
    [{ num_key_value_heads: 8 }, /4 query heads cannot share 8/],
    [{ head_dim: 5 }, /a head has 5 elements/],
    [{ head_dim: 258 }, /from 2 to 256/],
    [{ num_attention_heads: 16, num_key_value_heads: 16 }, /a head has 1 elements/],
    [{ hidden_size: 2048, num_attention_heads: 4 }, /a head has 512 elements/],
    [{ max_position_embeddings: 0 }, /max_position_embeddings is 0/],
    [{ rms_norm_eps: 0 }, /rms_norm_eps is 0/],
    [{ rms_norm_eps: '1e-5' }, /rms_norm_eps/],
    [{ rope_theta: 0 }, /rope_theta is 0/],
    [{ rope_theta: '10000' }, /rope_theta/],
    [{ tie_word_embeddings: 'yes' }, /true or false/],
    [{ attention_bias: 1 }, /true or false/],
    [{ rope_scaling: 'linear' }, /rope_scaling is "linear"; expected: an object/],
    [{ rope_scaling: { type: 'linear', factor: 0 } }, /rope_scaling.factor/],
    [
      {
        rope_scaling: {
          type: 'llama3',
          factor: 8,
          low_freq_factor: 4,
          high_freq_factor: 4,
          original_max_position_embeddings: 32,
        },
      },
      /more than low_freq_factor \(4\)/,
    ],
    [{ rope_theta: 1e4, rope_parameters: { rope_theta: 2e4 } }, /two values for rope_theta: 20000 and 10000/],
    [{ rope_scaling: { type: 'linear', factor: 4 }, rope_parameters: {} }, /two values for rope scaling/],
    [{ model_type: 'mistral' }, /"llama" beside LlamaForCausalLM/],
  ];
  for (const [changes, pattern] of cases) expectError(t, 'EM1006', pattern, () => read(changes));
  t.end();
});

t.test('architectures that are not supported, with the list of those that are', (t) => {
  const list = /supported: LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM/;
  for (const bad of [
    ['GPT2LMHeadModel'],
    ['LlamaModel'],
    [],
    'LlamaForCausalLM',
    [7],
    ['LlamaForCausalLM', 'X'],
  ]) {
    expectError(t, 'EM1007', list, () => read({ architectures: bad }));
  }
  expectError(t, 'EM1007', /model_type is "crystal"/, () =>
    read({ architectures: undefined, model_type: 'crystal' }),
  );
  t.end();
});

t.test('settings that change the arithmetic are refused by name, their neutral values are not', (t) => {
  const refused: Json = {
    hidden_act: 'gelu',
    partial_rotary_factor: 0.5,
    pretraining_tp: 2,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
    logits_scaling: 8,
    embedding_multiplier: 12,
    quantization_config: { quant_method: 'gptq' },
    num_experts: 8,
    num_local_experts: 8,
    attention_chunk_size: 8192,
    no_rope_layers: [1, 0],
    is_encoder_decoder: true,
    use_qk_norm: true,
    auto_map: { AutoModelForCausalLM: 'modeling_x.X' },
  };
  for (const [key, value] of Object.entries(refused)) {
    expectError(t, 'EM1008', new RegExp(`: ${key} is `), () => read({ [key]: value }));
    t.ok(read({ [key]: null }), `${key} null`);
  }
  for (const kind of ['yarn', 'dynamic', 'longrope', 'su', 'mrope', 7, '']) {
    const list = /supported: default, linear, llama3/;
    expectError(t, 'EM1008', list, () => read({ rope_scaling: { type: kind, factor: 2 } }));
    expectError(t, 'EM1008', list, () => read({ rope_parameters: { rope_type: kind, factor: 2 } }));
  }
  for (const rope of [{ partial_rotary_factor: 0.5 }, { mrope_section: [1, 2] }, { full_attention: {} }]) {
    expectError(t, 'EM1008', /rope_parameters\./, () => read({ rope_parameters: rope }));
  }
  expectError(t, 'EM1008', /use_qk_norm is false/, () => read({ ...qwen3, use_qk_norm: false }));
  t.ok(read({ pretraining_tp: 1, partial_rotary_factor: 1, num_experts: 0, is_encoder_decoder: false }));
  t.ok(read({ auto_map: { AutoConfig: 'x.Y' }, use_cache: true, torch_dtype: 'float16', unheard_of: 3 }));
  t.end();
});
