/**
 * Memory of a build: a checkpoint of 300 MB takes less than 1 GB, whatever the format. Takes minutes, therefore only with
 * EMBED_TEST_FULL=1.
 */
import { closeSync, mkdirSync, openSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { findToolchain } from '../../codegen/compile/toolchain.js';
import { targets } from '../../targets/index.js';
import { frame } from '../codegen/checkpoint/safetensors-writer.js';
import { embedModel, temporaryFolder } from './tiny-bundles.js';

const full = process.env.EMBED_TEST_FULL === '1';
t.setTimeout(full ? 3_600_000 : 1_800_000);

interface LargeModel {
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly vocab: number;
}

/** bfloat16 of random sign and of magnitudes from 2^-7 to 2^-5. */
function fillRandom(out: Uint16Array, state: number): number {
  for (let i = 0; i < out.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    out[i] = ((state >>> 16) & 0x80ff) | 0x3c00;
  }
  return state;
}

/** Writes a Llama with untied head, 4 query heads to a key/value head, block by block; returns its folder. */
function writeLargeCheckpoint(folder: string, { hidden, intermediate, layers, vocab }: LargeModel): string {
  mkdirSync(folder);
  const heads = hidden / 64;
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    vocab_size: vocab,
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: heads / 4,
    max_position_embeddings: 512,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: false,
    eos_token_id: 2,
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const layer = {
    'input_layernorm.weight': [hidden],
    'self_attn.q_proj.weight': [hidden, hidden],
    'self_attn.k_proj.weight': [hidden / 4, hidden],
    'self_attn.v_proj.weight': [hidden / 4, hidden],
    'self_attn.o_proj.weight': [hidden, hidden],
    'post_attention_layernorm.weight': [hidden],
    'mlp.gate_proj.weight': [intermediate, hidden],
    'mlp.up_proj.weight': [intermediate, hidden],
    'mlp.down_proj.weight': [hidden, intermediate],
  };
  const shapes: [string, number[]][] = [['model.embed_tokens.weight', [vocab, hidden]]];
  for (let i = 0; i < layers; i++)
    for (const [name, shape] of Object.entries(layer)) shapes.push([`model.layers.${i}.${name}`, shape]);
  shapes.push(['model.norm.weight', [hidden]], ['lm_head.weight', [vocab, hidden]]);
  let offset = 0;
  const header: Record<string, unknown> = {};
  for (const [name, shape] of shapes) {
    const bytes = 2 * shape.reduce((product, size) => product * size, 1);
    header[name] = { dtype: 'BF16', shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  const file = openSync(join(folder, 'model.safetensors'), 'w');
  writeSync(file, frame(JSON.stringify(header)));
  const block = new Uint16Array(1 << 20);
  let state = 1;
  for (let left = offset / 2; left > 0; left -= block.length) {
    state = fillRandom(block, state);
    writeSync(file, new Uint8Array(block.buffer, 0, 2 * Math.min(left, block.length)));
  }
  closeSync(file);
  return folder;
}

/** Has a process of Node say on stderr how much memory it held at most, in kB, when it ends. */
const tellPeak = `process.on('exit', () => process._rawDebug('peak ' + process.resourceUsage().maxRSS))`;
const peakOptions = `--import=data:text/javascript,${encodeURIComponent(tellPeak)}`;

const target = targets.find(({ name }) => name === 'x86_64-avx2')!;
const noToolchain = await findToolchain(target).then(
  () => false,
  () => `no compiler for ${target.name}`,
);

async function measure(t: Test, model: LargeModel, plan: string, limitBytes: number): Promise<void> {
  const folder = temporaryFolder(t);
  const checkpoint = writeLargeCheckpoint(join(folder, 'model'), model);
  const { size } = statSync(join(checkpoint, 'model.safetensors'));
  const started = performance.now();
  const options = [
    '--target',
    target.name,
    '--model',
    checkpoint,
    '--quantize',
    plan,
    '--out',
    'bundle',
    '--no-tokenizer',
  ];
  const end = await embedModel(['build', ...options, '--no-run'], {
    cwd: folder,
    env: { NODE_OPTIONS: peakOptions },
  });
  const seconds = (performance.now() - started) / 1000;
  t.equal(end.code, 0, 'exit code', { stderr: end.stderr });
  const peak = 1024 * Number(/^peak (\d+)$/m.exec(end.stderr)?.[1]);
  const words = `${(size / 1e6).toFixed(0)} MB, ${plan}: ${seconds.toFixed(1)} s, at most ${(peak / 1e6).toFixed(0)} MB held`;
  t.comment(words);
  t.comment(end.stderr);
  t.ok(size >= 300e6, 'the checkpoint is large');
  t.ok(peak < limitBytes, words);
}

const large = { hidden: 1024, intermediate: 3136, layers: 7, vocab: 32000 };
for (const plan of ['int8', 'int4', 'int16']) {
  const skip = noToolchain || (!full && 'EMBED_TEST_FULL is not 1');
  t.test(`a checkpoint of 300 MB, ${plan}`, { skip }, (t) => measure(t, large, plan, 1e9));
}
