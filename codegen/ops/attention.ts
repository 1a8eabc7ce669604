/**
 * Grouped-query attention over an int8 KV cache (Vaswani et al. 2017; Ainslie et al. 2023, arXiv 2305.13245).
 *
 * Queries arrive scaled by log2(e) / (127 sqrt(headDim)), so softmax is a power of two of 127 * (q . k).
 */
import { quantizeVector } from '../arithmetic/activation.js';
import { bitLength, bitLengthBig, maxMagnitude, roundShift, saturate, scale } from '../arithmetic/fixed.js';
import { exp2Negative } from '../arithmetic/functions.js';
import { exponential } from '../evaluate/exponential.js';
import { bufferOf } from '../graph/graph.js';
import { ACTIVATION_MAX } from '../quantize/format.js';
import type { FloatState, IntegerState, OpDefinition } from './op.js';

export interface AttentionOp {
  readonly kind: 'attention';
  readonly name: string;
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly output: string;
  readonly layer: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Positions a token sees, itself included, or null for all. */
  readonly window: number | null;
}

export interface AttentionStep {
  readonly kind: 'attention';
  readonly op: AttentionOp;
  /** Right shift from dot product times key magnitude to a score in Q16, without the query's shift. */
  readonly scoreShift: number;
  readonly outFrac: number;
}

/** Elements a head may have. */
export const HEAD_DIM_MAX = 256;

/** First position that a token at `position` sees. */
function firstVisible(op: AttentionOp, position: number): number {
  return op.window === null ? 0 : Math.max(0, position - op.window + 1);
}

/** Consecutive elements of a query whose magnitudes are bounded together. */
const QUERY_RUN = 32;

/**
 * Right shift that narrows a query: its elements are then at most 2^11 in magnitude, and those of every run of QUERY_RUN
 * add up to less than 2^13, before they are rounded.
 */
function queryShift(query: Int32Array): number {
  let shift = bitLength(maxMagnitude(query, 0, query.length)) - 11;
  for (let from = 0; from < query.length; from += QUERY_RUN) {
    const sum = query.subarray(from, from + QUERY_RUN).reduce((total, value) => total + Math.abs(value), 0);
    shift = Math.max(shift, bitLength(sum) - 13);
  }
  return shift;
}

/** Scores of one head in Q16 to base 2, for the positions from `first` to the current one. */
function scores(step: AttentionStep, state: IntegerState, head: number, first: number): Int32Array {
  const { headDim, heads, kvHeads, layer, query } = step.op;
  const values = state.buffer(query);
  const shift = queryShift(values.subarray(head * headDim, (head + 1) * headDim));
  const q = Int32Array.from({ length: headDim }, (_, i) => roundShift(values[head * headDim + i]!, shift));
  const cache = state.cache[layer]!;
  const kvHead = Math.floor(head / (heads / kvHeads));
  return Int32Array.from({ length: state.position + 1 - first }, (_, j) => {
    const slot = (first + j) * kvHeads + kvHead;
    let dot = 0;
    for (let i = 0; i < headDim; i++) dot += q[i]! * cache.keys[slot * headDim + i]!;
    return scale(dot, cache.keyMax[slot]!, step.scoreShift - shift);
  });
}

/** Weighted sum of the values of one head, written to out at its place. */
function attendHead(step: AttentionStep, state: IntegerState, head: number, out: Int32Array): void {
  const { headDim, heads, kvHeads, layer } = step.op;
  const first = firstVisible(step.op, state.position);
  const logits = scores(step, state, head, first);
  const top = logits.reduce((max, s) => Math.max(max, s));
  const cache = state.cache[layer]!;
  const slotOf = (j: number) => (first + j) * kvHeads + Math.floor(head / (heads / kvHeads));
  const exponentials = Array.from(logits, (s) => exp2Negative(top - s)); // Q30
  const total = exponentials.reduce((sum, e) => sum + e, 0);
  // The scale of each value vector goes into its weight; weights then fill 15 bits.
  const products = exponentials.map((e, j) => BigInt(e) * BigInt(cache.valueMax[slotOf(j)]!));
  const largest = products.reduce((max, p) => (p > max ? p : max), 0n);
  const drop = Math.max(0, bitLengthBig(largest) - 15);
  const half = drop > 0 ? 1n << BigInt(drop - 1) : 0n;
  const weights = products.map((p) => Math.min(32767, Number((p + half) >> BigInt(drop))));

  const sums = new Float64Array(headDim); // integers below 2^53
  weights.forEach((w, j) => {
    const base = slotOf(j) * headDim;
    for (let i = 0; i < headDim; i++) sums[i] = sums[i]! + w * cache.values[base + i]!;
  });
  const bound = ACTIVATION_MAX * weights.reduce((sum, w) => sum + w, 0);
  const narrow = Math.max(0, bitLength(bound) - 31);
  const divisor = BigInt(total) * BigInt(ACTIVATION_MAX);
  const bits = bitLengthBig(divisor);
  const normal = bits > 31 ? divisor >> BigInt(bits - 31) : divisor << BigInt(31 - bits);
  const reciprocal = Math.min(0x7fffffff, Number((1n << 61n) / normal));
  for (let i = 0; i < headDim; i++) {
    // A sum at its bound may round up to 2^31.
    const sum = saturate(roundShift(sums[i]!, narrow));
    out[head * headDim + i] = scale(sum, reciprocal, bits + 30 - drop - narrow);
  }
}

/** Quantizes the keys or values of the current token into the cache. */
function store(state: IntegerState, op: AttentionOp, from: string, cache: Int8Array, max: Int32Array): void {
  const values = state.buffer(from);
  for (let head = 0; head < op.kvHeads; head++) {
    const slot = state.position * op.kvHeads + head;
    quantizeVector(values, head * op.headDim, op.headDim, cache, slot * op.headDim);
    max[slot] = maxMagnitude(values, head * op.headDim, op.headDim);
  }
}

/** One head of the float meaning, for all tokens at once: scores and sums are matrix products. */
function attendHeadFloat(
  op: AttentionOp,
  state: FloatState,
  head: number,
  keys: Float32Array,
  values: Float32Array,
): void {
  const { headDim, heads } = op;
  const { tokens, position } = state;
  const seen = position + tokens;
  const query = state.buffer(op.query);
  const out = state.buffer(op.output);
  const q = new Float32Array(tokens * headDim);
  for (let t = 0; t < tokens; t++) {
    const at = (t * heads + head) * headDim;
    q.set(query.subarray(at, at + headDim), t * headDim);
  }
  const weights = new Float32Array(tokens * seen);
  state.multiplyBy(keys, q, weights, tokens, seen, headDim);
  for (let t = 0; t < tokens; t++) {
    const row = weights.subarray(t * seen, (t + 1) * seen);
    softmaxBase2(row, firstVisible(op, position + t), position + t);
  }
  const result = new Float32Array(tokens * headDim);
  state.multiplyBy(values, weights, result, tokens, headDim, seen);
  for (let t = 0; t < tokens; t++) {
    out.set(result.subarray(t * headDim, (t + 1) * headDim), (t * heads + head) * headDim);
  }
}

/** Turns scores / 127 of positions [first, last] into probabilities; the others become 0. */
function softmaxBase2(row: Float32Array, first: number, last: number): void {
  let max = Number.NEGATIVE_INFINITY;
  for (let j = first; j <= last; j++) max = Math.max(max, row[j]!);
  let sum = 0;
  for (let j = first; j <= last; j++) {
    const e = exponential(127 * Math.LN2 * (row[j]! - max));
    row[j] = e;
    sum += e;
  }
  row.fill(0, 0, first).fill(0, last + 1);
  for (let j = first; j <= last; j++) row[j] = row[j]! / sum;
}

export const attention: OpDefinition<AttentionOp, AttentionStep> = {
  kind: 'attention',
  reads: (op) => [op.query, op.key, op.value],
  writes: (op) => [op.output],
  check(op, graph) {
    const { kvHeads, headDim } = graph.cache;
    if (op.kvHeads !== kvHeads || op.headDim !== headDim) return 'shape of the KV cache differs';
    if (headDim > HEAD_DIM_MAX) return `heads of ${headDim} values, at most ${HEAD_DIM_MAX}`;
    if (op.heads % op.kvHeads !== 0) return `${op.heads} heads do not share ${op.kvHeads} KV heads evenly`;
    const [q, k, v, out] = [op.query, op.key, op.value, op.output].map((name) => bufferOf(graph, name).width);
    const fits = q === op.heads * headDim && out === q && k === kvHeads * headDim && v === k;
    return fits ? null : 'widths of query, key, value and output do not fit the heads';
  },
  float(op, state) {
    const { kvHeads, headDim, heads } = op;
    const width = kvHeads * headDim;
    const cache = state.cache[op.layer]!;
    cache.keys.set(state.buffer(op.key), state.position * width);
    cache.values.set(state.buffer(op.value), state.position * width);
    const seen = state.position + state.tokens;
    const keys = new Float32Array(seen * headDim);
    const values = new Float32Array(headDim * seen); // transposed
    for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
      for (let j = 0; j < seen; j++) {
        const at = j * width + kvHead * headDim;
        keys.set(cache.keys.subarray(at, at + headDim), j * headDim);
        for (let i = 0; i < headDim; i++) values[i * seen + j] = cache.values[at + i]!;
      }
      const shared = heads / kvHeads;
      for (let h = 0; h < shared; h++) attendHeadFloat(op, state, kvHead * shared + h, keys, values);
    }
  },
  lower(op, lowering) {
    const outFrac = lowering.formatOf(op.value);
    lowering.setFormat(op.output, outFrac);
    return {
      kind: 'attention',
      op,
      scoreShift: lowering.formatOf(op.query) + lowering.formatOf(op.key) - 16,
      outFrac,
    };
  },
  integer(step, state) {
    const { op } = step;
    const cache = state.cache[op.layer]!;
    store(state, op, op.key, cache.keys, cache.keyMax);
    store(state, op, op.value, cache.values, cache.valueMax);
    const out = state.buffer(op.output);
    for (let head = 0; head < op.heads; head++) attendHead(step, state, head, out);
  },
  constants: (step) => ({
    type: 'em_attention_op',
    fields: [{ name: 'score_shift', value: `${step.scoreShift}` }],
    note: `-> Q${step.outFrac}`,
  }),
  view: ({ op }) => ({
    query: op.query,
    key: op.key,
    value: op.value,
    output: op.output,
    heads: op.heads,
    headDim: op.headDim,
    seen: op.window === null ? 'all positions so far' : `the last ${op.window} positions`,
  }),
};
