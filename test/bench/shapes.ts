/** The shapes that are measured: decoders of the Llama family with tied embeddings. */

export interface Shape {
  readonly dim: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly vocab: number;
  readonly context: number;
}

/** 260K, 15M and 110M are those of the stories checkpoints of llama2.c; the other two lie between and beyond. */
export const shapes = {
  '260K': { dim: 64, hidden: 172, layers: 5, heads: 8, kvHeads: 4, vocab: 512, context: 512 },
  '15M': { dim: 288, hidden: 768, layers: 6, heads: 6, kvHeads: 6, vocab: 32000, context: 256 },
  '44M': { dim: 512, hidden: 1536, layers: 8, heads: 8, kvHeads: 8, vocab: 32000, context: 256 },
  '110M': { dim: 768, hidden: 2048, layers: 12, heads: 12, kvHeads: 12, vocab: 32000, context: 256 },
  '150M': { dim: 896, hidden: 2560, layers: 12, heads: 14, kvHeads: 14, vocab: 32000, context: 256 },
} as const satisfies Record<string, Shape>;

export type ShapeName = keyof typeof shapes;

/** Multiplications by a weight that a decoded token takes, the head's included; attention adds cachedMacs a position. */
export function weightMacs({ dim, hidden, layers, heads, kvHeads, vocab }: Shape): number {
  const keys = (dim / heads) * kvHeads;
  return layers * (2 * dim * dim + 2 * dim * keys + 3 * dim * hidden) + dim * vocab;
}

/** Multiplications that attention makes for a cached position: a score and a weighted sum, every layer and query head. */
export function cachedMacs({ dim, layers }: Shape): number {
  return 2 * dim * layers;
}
