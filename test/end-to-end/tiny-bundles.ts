/** Tiny checkpoints that this file writes, and bundles built of them with real compilers: what the end-to-end tests share. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import type { BuildOptions } from '../../codegen/build-options.js';
import { findToolchain } from '../../codegen/compile/toolchain.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { type BuildResult, build } from '../../codegen/pipeline.js';
import { silentProgress } from '../../codegen/progress.js';
import type { FormatName } from '../../codegen/quantize/format.js';
import { namedPlans, type Plan } from '../../codegen/quantize/plan.js';
import { findLauncher } from '../../deploy/local.js';
import type { CompilerFamily, Target } from '../../targets/target.js';
import { writeLlama2c } from '../codegen/checkpoint/llama2c-writer.js';
import {
  encodeFloats,
  type WrittenTensor,
  writeSafetensors,
} from '../codegen/checkpoint/safetensors-writer.js';
import { characterTokenizer } from '../codegen/tokenizer/synthetic-tokenizers.js';

/** Where package.json lies, from dist/test/end-to-end. */
export const projectRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

/** A folder that goes when the test ends. */
export function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'em-end-to-end-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

// ---- Checkpoints ------------------------------------------------------------------------------------------------

/** Sizes of a checkpoint of the Llama family, and what else its config.json says. */
export interface TinyModel {
  readonly name: string;
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly context: number;
  readonly tied: boolean;
  readonly dtype: 'F32' | 'F16' | 'BF16';
  readonly qkvBias?: boolean;
  readonly qkNorm?: boolean;
  /** Into how many files the tensors go; absent: one. */
  readonly shards?: number;
  /** Rows of the embedding beyond the tokenizer's tokens. */
  readonly extraRows?: number;
  readonly config?: Readonly<Record<string, unknown>>;
  /** Another number gives other weights of the same shapes. */
  readonly seed?: number;
}

const tiny = (
  name: string,
  [hidden, intermediate]: readonly [number, number],
  [heads, kvHeads, headDim]: readonly [number, number, number],
  rest: Partial<TinyModel> = {},
): TinyModel => {
  const sizes = { hidden, intermediate, layers: 2, heads, kvHeads, headDim, context: 160 };
  return { name, ...sizes, tied: true, dtype: 'BF16', ...rest };
};

const llama3Rope = {
  rope_type: 'llama3',
  rope_theta: 500000,
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 32,
};

/** A model for every feature that the graph of the Llama family can have; widths that no vector divides. */
export const tinyModels: readonly TinyModel[] = [
  tiny('grouped queries, head of 10', [36, 50], [6, 2, 10]),
  tiny('biases of q, k, v', [40, 57], [4, 1, 10], {
    dtype: 'F32',
    qkvBias: true,
    config: { architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2' },
  }),
  tiny('norms of q and k', [33, 47], [4, 2, 16], {
    dtype: 'F16',
    tied: false,
    qkNorm: true,
    config: { architectures: ['Qwen3ForCausalLM'], model_type: 'qwen3' },
  }),
  tiny('sliding window', [48, 70], [4, 2, 12], {
    tied: false,
    config: { architectures: ['MistralForCausalLM'], model_type: 'mistral', sliding_window: 20 },
  }),
  tiny('linear rope', [32, 64], [2, 1, 16], {
    dtype: 'F16',
    tied: false,
    config: { rope_scaling: { type: 'linear', factor: 4 } },
  }),
  tiny('llama3 rope, sharded', [44, 96], [4, 4, 8], { shards: 3, config: { rope_parameters: llama3Rope } }),
  tiny('odd widths', [97, 131], [3, 3, 22], { dtype: 'F32', tied: false, extraRows: 2 }),
];

/** The smallest: hashing its payload once for each of its bytes stays cheap. */
export const smallestModel = tiny('smallest', [8, 12], [2, 1, 4], { layers: 1, context: 96 });

/** Characters with byte fallback, begun with <s>: as small as a tokenizer with all of that can be. */
function tinyTokenizer(): { json: unknown; tokens: number } {
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
  );
  const merges = [
    ['▁', 't'],
    ['h', 'e'],
    ['▁t', 'he'],
    ['i', 'n'],
  ];
  const tokens = [
    '<unk>',
    '<s>',
    '</s>',
    ...bytes,
    ...'▁abcdefghinorstuw',
    ...merges.map((pair) => pair.join('')),
  ];
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  return { json: characterTokenizer({}, { vocab, merges }), tokens: tokens.length };
}

/** Values about as large as trained weights are, with 8 significant bits: exact in all three types. */
function weights(count: number, columns: number, seed: number): Float32Array {
  const unit = 2 ** -Math.round(6 + Math.log2(columns) / 2);
  let state = (seed * 2654435761) >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 24) - 127) * unit;
  });
}

function tensorShapes(model: TinyModel, vocab: number): Record<string, readonly number[]> {
  const { hidden, intermediate, heads, kvHeads, headDim } = model;
  const queries = heads * headDim;
  const keys = kvHeads * headDim;
  const attention = {
    'q_proj.weight': [queries, hidden],
    'k_proj.weight': [keys, hidden],
    'v_proj.weight': [keys, hidden],
    'o_proj.weight': [hidden, queries],
    ...(model.qkvBias ? { 'q_proj.bias': [queries], 'k_proj.bias': [keys], 'v_proj.bias': [keys] } : {}),
    ...(model.qkNorm ? { 'q_norm.weight': [headDim], 'k_norm.weight': [headDim] } : {}),
  };
  const layer = {
    'input_layernorm.weight': [hidden],
    ...Object.fromEntries(Object.entries(attention).map(([name, shape]) => [`self_attn.${name}`, shape])),
    'post_attention_layernorm.weight': [hidden],
    'mlp.gate_proj.weight': [intermediate, hidden],
    'mlp.up_proj.weight': [intermediate, hidden],
    'mlp.down_proj.weight': [hidden, intermediate],
  };
  const layers = Array.from({ length: model.layers }, (_, i) =>
    Object.entries(layer).map(([name, shape]) => [`model.layers.${i}.${name}`, shape]),
  );
  return {
    'model.embed_tokens.weight': [vocab, hidden],
    ...Object.fromEntries(layers.flat()),
    'model.norm.weight': [hidden],
    ...(model.tied ? {} : { 'lm_head.weight': [vocab, hidden] }),
  };
}

function tensorsOf(model: TinyModel, vocab: number): Record<string, WrittenTensor> {
  const entries = Object.entries(tensorShapes(model, vocab)).map(([name, shape], i) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const values = weights(count, shape[1] ?? 64, 1000 * (model.seed ?? 1) + i);
    // Gains of norms lie about 1.
    if (name.includes('norm'))
      for (let c = 0; c < count; c++) values[c] = 1 + Math.round(values[c]! * 64) / 128;
    return [name, { dtype: model.dtype, shape, data: encodeFloats(model.dtype, values) }];
  });
  return Object.fromEntries(entries);
}

/** Writes a checkpoint with its tokenizer as Hugging Face does, and returns its folder. */
export function writeCheckpoint(model: TinyModel, folder: string): string {
  mkdirSync(folder, { recursive: true });
  const tokenizer = tinyTokenizer();
  const vocab = tokenizer.tokens + (model.extraRows ?? 0);
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    vocab_size: vocab,
    hidden_size: model.hidden,
    intermediate_size: model.intermediate,
    num_hidden_layers: model.layers,
    num_attention_heads: model.heads,
    num_key_value_heads: model.kvHeads,
    head_dim: model.headDim,
    max_position_embeddings: model.context,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: model.tied,
    bos_token_id: 1,
    eos_token_id: 2,
    ...model.config,
  };
  const write = (name: string, data: string | Uint8Array) => writeFileSync(join(folder, name), data);
  write('config.json', JSON.stringify(config));
  write('tokenizer.json', JSON.stringify(tokenizer.json));
  write('tokenizer_config.json', JSON.stringify({ add_bos_token: true, bos_token: '<s>' }));
  const tensors = Object.entries(tensorsOf(model, vocab));
  const { shards = 1 } = model;
  if (shards === 1) {
    write('model.safetensors', writeSafetensors(Object.fromEntries(tensors)));
    return folder;
  }
  const fileOf = (i: number) => `model-0000${(i % shards) + 1}-of-0000${shards}.safetensors`;
  for (let shard = 0; shard < shards; shard++) {
    const own = tensors.filter((_, i) => i % shards === shard);
    write(fileOf(shard), writeSafetensors(Object.fromEntries(own)));
  }
  const weightMap = Object.fromEntries(tensors.map(([name], i) => [name, fileOf(i)]));
  write('model.safetensors.index.json', JSON.stringify({ weight_map: weightMap }));
  return folder;
}

/** Writes a checkpoint of llama2.c without a tokenizer, and returns its path. */
export function writeLlama2cCheckpoint(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const sizes = { dim: 42, hidden: 61, layers: 2, heads: 3, kvHeads: 1, vocab: -261, seq: 128 };
  const path = join(folder, 'model.bin');
  writeFileSync(path, writeLlama2c(sizes).bytes);
  return path;
}

// ---- Bundles ----------------------------------------------------------------------------------------------------

const mixed = (
  name: string,
  groupSize: Plan['groupSize'],
  rules: Readonly<Record<string, FormatName>>,
): Plan => ({
  schemaVersion: 1,
  name,
  groupSize,
  rules: Object.entries(rules).map(([match, format]) => ({ match, format })),
});

/** Plans that give neighbouring matrices different formats, and between them the embedding every one that int8 and int4 do not. */
export const mixedPlans: readonly Plan[] = [
  mixed('mixed-a', 32, {
    embed: 'w16',
    head: 'w8t',
    '*.attn.q': 'w4',
    '*.attn.k': 'w5',
    '*.attn.v': 'w6',
    '*.attn.o': 'w8',
    '*.mlp.gate': 'w6',
    '*.mlp.up': 'w5',
    '*': 'w8t',
  }),
  mixed('mixed-b', 64, {
    embed: 'w5',
    head: 'w6',
    '*.mlp.gate': 'w16',
    '*.mlp.up': 'w4',
    '*.mlp.down': 'w5',
    '*.attn.o': 'w16',
    '*': 'w8t',
  }),
  mixed('mixed-c', 128, {
    embed: 'w6',
    head: 'w16',
    '*.mlp.down': 'w16',
    '*.attn.o': 'w6',
    'layers.0.*': 'w8',
    '*': 'w4',
  }),
  mixed('mixed-d', 32, { embed: 'w8t', head: 'w4', '*.attn.*': 'w16', '*': 'w6' }),
];

export type BundleRequest = Partial<BuildOptions> & Pick<BuildOptions, 'target' | 'model' | 'out'>;

/** Builds a bundle: int8 and not run unless asked otherwise. */
export function buildBundle(request: BundleRequest): Promise<BuildResult> {
  const defaults = {
    ...{ plan: namedPlans.int8!, calibration: null, context: null, toolchain: null, prompt: null },
    ...{ fetch: false, singleFile: false, tokens: 8, threads: 1, run: false },
    tokenizer: true,
  };
  const context = { progress: silentProgress, signal: new AbortController().signal };
  return build({ ...defaults, ...request }, context);
}

// ---- What this machine has --------------------------------------------------------------------------------------

/** Why a target's programs cannot be compiled and run on this machine, as tap takes it for `skip`. */
export async function cannotRun(target: Target, family?: CompilerFamily): Promise<string | false> {
  try {
    await findToolchain(target, family === undefined ? {} : { prefer: family });
    await findLauncher(target);
    return false;
  } catch (error) {
    if (error instanceof EmbedError && ['EM3001', 'EM3004', 'EM3008', 'EM3201'].includes(error.code))
      return `${target.name}${family === undefined ? '' : ` with ${family}`}: ${error.why}`;
    throw error;
  }
}

// ---- The command line -------------------------------------------------------------------------------------------

export interface CommandEnd {
  /** null if a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Words before the command, such as those of a program that starts it with other rights. */
  readonly prefix?: readonly string[];
  /** Gets what stands on stderr so far, each time that more does. */
  readonly onStderr?: (stderr: string, child: ChildProcess) => void;
}

export const commandLine = join(projectRoot, 'bin', 'embed-model.js');

/** Runs embed-model in a process of its own, to its end. Of this process's settings it sees PATH alone. */
export function embedModel(args: readonly string[], options: CommandOptions): Promise<CommandEnd> {
  const { cwd, env = {}, prefix = [], onStderr } = options;
  const [program, ...words] = [...prefix, process.execPath, commandLine, ...args];
  const child = spawn(program!, words, {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    onStderr?.(stderr, child);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
