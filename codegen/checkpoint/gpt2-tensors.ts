/** Where the tensors of a GPT-2 are in checkpoints of Hugging Face, nanoGPT and their kin. */
import { EmbedError } from '../diagnostics/error.js';
import type { Gpt2Config } from './config.js';
import { showShape } from './safetensors.js';
import type { TensorSource } from './tensor-source.js';
import type { TensorView } from './tensor-view.js';

/** What stands before the names: modules of transformers and nanoGPT, wrappers of torch.compile and data parallelism. */
const wrappers = ['', '_orig_mod.', 'module.', 'module._orig_mod.'];
const bodies = ['transformer.', ''];

/** Names of the parts, in the order tried. */
const spellings = {
  tokens: ['wte.weight', 'tok_emb.weight'],
  positions: ['wpe.weight', 'pos_emb.weight'],
  blocks: ['h.', 'blocks.'],
} as const;

const heads = ['lm_head.weight', 'head.weight'];

/** Buffers that are no parameters: the causal mask and the value that it puts in. */
const buffers = /\.attn\.(bias|masked_bias|mask)$/;

/** Finds and checks the tensors of one checkpoint. */
class Gpt2Binder {
  readonly views = new Map<string, TensorView>();
  readonly used = new Set<string>();
  readonly wrapper: string;
  readonly body: string;
  readonly blocks: string;

  constructor(
    readonly source: TensorSource,
    readonly config: Gpt2Config,
  ) {
    const starts = wrappers.flatMap((wrapper) => bodies.map((body) => ({ wrapper, body })));
    const found = starts.find(({ wrapper, body }) =>
      spellings.tokens.some((name) => source.tensors.has(`${wrapper}${body}${name}`)),
    );
    this.wrapper = found?.wrapper ?? '';
    this.body = found === undefined ? 'transformer.' : found.body;
    const block = (name: string) =>
      [...source.tensors.keys()].some((key) => key.startsWith(`${this.wrapper}${this.body}${name}0.`));
    this.blocks = spellings.blocks.find(block) ?? spellings.blocks[0];
  }

  /** The first of some names that the source has, or the first of them. */
  choose(names: readonly string[]): string {
    return names.find((name) => this.source.tensors.has(name)) ?? names[0]!;
  }

  /** The shape that a tensor has, which must be one of those given. Throws EM1015, EM1016. */
  shapeOf(name: string, ...allowed: (readonly number[])[]): readonly number[] {
    const tensor = this.source.tensors.get(name);
    if (tensor === undefined) {
      const why = `${name} ${allowed.map(showShape).join(' or ')} is in none of the weight files`;
      throw new EmbedError('EM1015', { where: this.source.where, why });
    }
    const same = (shape: readonly number[]) =>
      shape.length === tensor.shape.length && shape.every((size, i) => size === tensor.shape[i]);
    if (!allowed.some(same)) {
      const why = `expected ${allowed.map(showShape).join(' or ')}, found ${showShape(tensor.shape)}`;
      throw new EmbedError('EM1016', { where: `${this.source.where}, ${name}`, why });
    }
    this.used.add(name);
    return tensor.shape;
  }

  whole(view: string, tensor: string, ...shape: number[]): void {
    this.shapeOf(tensor, shape);
    this.views.set(view, { tensor, shape, transposed: false, first: 0 });
  }

  /**
   * The matrices of a linear module, which may hold several below each other: views named `${view}.weight` of `rows` rows.
   * `conv1d` says that the module is stored [inputs, outputs]. Biases where there are some.
   */
  linear(views: readonly string[], tensor: string, rows: number, columns: number, conv1d: boolean): void {
    const outputs = rows * views.length;
    this.shapeOf(`${tensor}.weight`, conv1d ? [columns, outputs] : [outputs, columns]);
    const biased = this.source.tensors.has(`${tensor}.bias`);
    if (biased) this.shapeOf(`${tensor}.bias`, [outputs]);
    views.forEach((view, i) => {
      const first = i * rows;
      const shape = [rows, columns];
      this.views.set(`${view}.weight`, { tensor: `${tensor}.weight`, shape, transposed: conv1d, first });
      if (biased) {
        const bias = { tensor: `${tensor}.bias`, shape: [rows], transposed: false, first };
        this.views.set(`${view}.bias`, bias);
      }
    });
  }

  norm(view: string, tensor: string): void {
    const { hiddenSize } = this.config;
    this.whole(`${view}.weight`, `${tensor}.weight`, hiddenSize);
    if (this.source.tensors.has(`${tensor}.bias`)) this.whole(`${view}.bias`, `${tensor}.bias`, hiddenSize);
  }

  layer(index: number): void {
    const { hiddenSize, intermediateSize } = this.config;
    const at = `${this.wrapper}${this.body}${this.blocks}${index}`;
    const to = `h.${index}`;
    // Three times as wide as high or the other way round: it says how all matrices are stored.
    const qkv = this.shapeOf(
      `${at}.attn.c_attn.weight`,
      [hiddenSize, 3 * hiddenSize],
      [3 * hiddenSize, hiddenSize],
    );
    const conv1d = qkv[0] === hiddenSize;
    this.norm(`${to}.ln_1`, `${at}.ln_1`);
    const parts = ['q', 'k', 'v'].map((part) => `${to}.attn.${part}`);
    this.linear(parts, `${at}.attn.c_attn`, hiddenSize, hiddenSize, conv1d);
    this.linear([`${to}.attn.o`], `${at}.attn.c_proj`, hiddenSize, hiddenSize, conv1d);
    this.norm(`${to}.ln_2`, `${at}.ln_2`);
    this.linear([`${to}.mlp.up`], `${at}.mlp.c_fc`, intermediateSize, hiddenSize, conv1d);
    this.linear([`${to}.mlp.down`], `${at}.mlp.c_proj`, hiddenSize, intermediateSize, conv1d);
  }

  head(): void {
    const { vocabSize, hiddenSize, tiedEmbedding } = this.config;
    const name = this.choose(heads.map((head) => `${this.wrapper}${head}`));
    if (!tiedEmbedding) this.whole('lm_head.weight', name, vocabSize, hiddenSize);
    else if (this.source.tensors.has(name)) {
      this.shapeOf(name, [vocabSize, hiddenSize]);
      requireEqual(this.source, name, this.views.get('wte.weight')!.tensor, vocabSize, hiddenSize);
    }
  }

  /** A bias that no operator adds would be lost in silence. Throws EM1008. */
  refuseUnknownBiases(): void {
    for (const name of this.source.tensors.keys()) {
      if (name.endsWith('.bias') && !this.used.has(name) && !buffers.test(name)) {
        const why = `${name} has no place in ${this.config.architecture}`;
        throw new EmbedError('EM1008', { where: this.source.where, why });
      }
    }
  }
}

/** A tied model may store its head as well, but then it must be the embedding. Throws EM1019. */
function requireEqual(
  source: TensorSource,
  head: string,
  tokens: string,
  rows: number,
  columns: number,
): void {
  const step = Math.max(1, Math.floor(2 ** 18 / columns));
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row);
    const expected = source.readRows(tokens, row, count);
    const differing = source.readRows(head, row, count).findIndex((value, i) => value !== expected[i]);
    if (differing >= 0) {
      const at = row + Math.floor(differing / columns);
      const why = `the head is to share the embedding, but row ${at} of ${head} is not that of ${tokens}`;
      throw new EmbedError('EM1019', { where: source.where, why });
    }
  }
}

/**
 * The tensors of a GPT-2 by the names of its graph: wte, wpe, h.N.ln_1, h.N.attn.{q,k,v,o}, h.N.ln_2, h.N.mlp.{up,down}, ln_f and
 * lm_head, each .weight and, where there is one, .bias; matrices [outputs, inputs]. The fused c_attn is cut into q, k and v, and
 * whether matrices are transposed (Conv1D of transformers) is told by its shape. Throws EM1008, EM1015, EM1016, EM1019.
 */
export function bindGpt2Tensors(source: TensorSource, config: Gpt2Config): Map<string, TensorView> {
  const binder = new Gpt2Binder(source, config);
  const { vocabSize, hiddenSize, contextLength, layers } = config;
  const start = `${binder.wrapper}${binder.body}`;
  const tokens = binder.choose(spellings.tokens.map((name) => start + name));
  binder.whole('wte.weight', tokens, vocabSize, hiddenSize);
  const positions = binder.choose(spellings.positions.map((name) => start + name));
  binder.whole('wpe.weight', positions, contextLength, hiddenSize);
  for (let layer = 0; layer < layers; layer++) binder.layer(layer);
  binder.norm('ln_f', `${start}ln_f`);
  binder.head();
  binder.refuseUnknownBiases();
  return binder.views;
}
