import { assembleCheckpoint } from '../assemble-checkpoint.js';
import type { Checkpoint } from '../checkpoint.js';
import { FileSet } from '../file-set.js';
import type { JsonObject } from '../json-object.js';
import { rowsInHalves } from '../rope-row-order.js';
import { Settings } from '../settings.js';
import type { TensorEntry } from '../tensor-entry.js';
import { type GgufArchitecture, ggufSettings } from './gguf-settings.js';
import { readGguf } from './read-gguf.js';

const llamaTopNames: Readonly<Record<string, string>> = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
};

const llamaLayerNames: Readonly<Record<string, string>> = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  attn_q_norm: 'self_attn.q_norm',
  attn_k_norm: 'self_attn.k_norm',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};

const gpt2TopNames: Readonly<Record<string, string>> = {
  token_embd: 'transformer.wte',
  position_embd: 'transformer.wpe',
  output_norm: 'transformer.ln_f',
  output: 'lm_head',
};

const gpt2LayerNames: Readonly<Record<string, string>> = {
  attn_norm: 'ln_1',
  attn_qkv: 'attn.c_attn',
  attn_output: 'attn.c_proj',
  ffn_norm: 'ln_2',
  ffn_up: 'mlp.c_fc',
  ffn_down: 'mlp.c_proj',
};

/**
 * Opens a GGUF file (version 2 or 3) of the llama, qwen2, qwen3 or gpt2 architecture. Tensors get their Hugging Face
 * names, matrices are [outputs, inputs]. Throws EM1034 (damaged), EM1035 (not supported), and what assembleCheckpoint
 * throws.
 */
export function openGguf(path: string): Checkpoint {
  return FileSet.build((files) => {
    const gguf = readGguf(files.open(path));
    const { settings, architecture } = ggufSettings(path, gguf);
    return assembleCheckpoint({
      path,
      format: 'gguf',
      formatText: `GGUF version ${gguf.version}`,
      settings: new Settings(path, settings),
      generation: null,
      entries: namedTensors(gguf.tensors, architecture, settings),
      files,
    });
  });
}

function namedTensors(
  tensors: ReadonlyMap<string, TensorEntry>,
  architecture: GgufArchitecture,
  settings: JsonObject,
): Map<string, TensorEntry> {
  const named = new Map<string, TensorEntry>();
  const headDim = Number(settings.head_dim);
  for (const [name, entry] of tensors) {
    const to = huggingFaceName(name, architecture);
    const paired = architecture.pairedRope && /\.self_attn\.[qk]_proj\./.test(to);
    // Head sizes that are no even number are refused with the other settings.
    const ordered = paired && headDim >= 2 && headDim % 2 === 0 ? rowsInHalves(entry, headDim) : entry;
    named.set(to, { ...ordered, name: to });
  }
  return named;
}

/** Names that are not known stay as they are: extras, unless they are biases, which assembleCheckpoint refuses. */
function huggingFaceName(name: string, { name: architecture }: GgufArchitecture): string {
  const gpt2 = architecture === 'gpt2';
  const parts = /^(?:blk\.(\d+)\.)?([a-z_]+)\.(weight|bias)$/.exec(name);
  if (parts === null) return name;
  const [, layer, module, kind] = parts;
  if (layer === undefined) {
    const top = (gpt2 ? gpt2TopNames : llamaTopNames)[module!];
    return top === undefined ? name : `${top}.${kind}`;
  }
  const inLayer = (gpt2 ? gpt2LayerNames : llamaLayerNames)[module!];
  return inLayer === undefined
    ? name
    : `${gpt2 ? 'transformer.h' : 'model.layers'}.${layer}.${inLayer}.${kind}`;
}
