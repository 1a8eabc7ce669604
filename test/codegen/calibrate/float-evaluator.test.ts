/**
 * The float evaluator against logits that other implementations computed, and the integer evaluator against the float one
 * over the same quantized weights: what the integers alone cost.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { calibrate } from '../../../codegen/calibrate/calibrate.js';
import { FloatEvaluator } from '../../../codegen/calibrate/float-evaluator.js';
import { checkpointWeights, dequantizedWeights } from '../../../codegen/calibrate/float-weights.js';
import { createLinearAlgebra } from '../../../codegen/calibrate/linear-algebra.js';
import { PlainLinearAlgebra } from '../../../codegen/calibrate/linear-algebra-plain.js';
import type { Checkpoint } from '../../../codegen/checkpoint/checkpoint.js';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import { IntegerEvaluator } from '../../../codegen/evaluate/integer-evaluator.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { foldGains } from '../../../codegen/lower/fold-gains.js';
import { lower } from '../../../codegen/lower/lower.js';
import { silentProgress } from '../../../codegen/progress.js';
import { namedPlans } from '../../../codegen/quantize/plan.js';
import { quantizeGraph } from '../../../codegen/quantize/quantize.js';
import { root } from '../../templates/c-compiler.js';

const models = join(root, '..', 'shared', 'models');
const variants = [
  'llama-gqa-odd',
  'llama-linear-rope',
  'llama3-rope-sharded',
  'mistral-window',
  'qwen2-bias',
  'qwen3-qknorm',
  'gpt2-odd',
];
const stage = { progress: silentProgress, signal: new AbortController().signal };
const algebra = createLinearAlgebra();

interface Oracle {
  readonly ids: number[];
  readonly logits: number[][];
  readonly logit_std: number;
  readonly prompts: readonly { readonly ids: number[]; readonly last_logits: number[] }[];
}

const oracleOf = (folder: string) => JSON.parse(readFileSync(join(folder, 'oracle.json'), 'utf8')) as Oracle;

function largestDifference(found: Float32Array, expected: readonly number[]): number {
  return expected.reduce((max, value, i) => Math.max(max, Math.abs(found[i]! - value)), 0);
}

/** Logits of int8 weights over some ids: by integers, and by float from the same quantized weights. [position x vocabulary] */
async function bothLogits(checkpoint: Checkpoint, context: number, text: number[], ids: number[]) {
  const graph = buildGraph(checkpoint, context);
  const weights = checkpointWeights(checkpoint, graph);
  const { ranges } = await calibrate(graph, weights, algebra, { source: 'test', ids: text }, stage);
  const matrices = await quantizeGraph(graph, checkpoint, namedPlans.int8!, 'int8', stage);
  const float = new FloatEvaluator(graph, dequantizedWeights(checkpoint, graph, matrices), algebra).run(ids);
  const model = lower({
    graph,
    matrices: foldGains(graph, matrices),
    vector: (name) => weights.vector(name),
    ranges,
  });
  const evaluator = new IntegerEvaluator(model);
  const integer = new Float32Array(float.length);
  ids.forEach((id, position) => {
    const logits = Float32Array.from(evaluator.decode(id), (v) => v * 2 ** -model.logitsFrac);
    integer.set(logits, position * graph.vocabSize);
  });
  return { float, integer };
}

/** Root mean square of the difference, in standard deviations of the logits. */
function relativeNoise(float: Float32Array, integer: Float32Array): number {
  const mean = float.reduce((sum, v) => sum + v, 0) / float.length;
  const spread = float.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  return Math.sqrt(float.reduce((sum, v, i) => sum + (integer[i]! - v) ** 2, 0) / spread);
}

for (const name of variants) {
  const folder = join(models, 'variants', name);
  t.test(name, { skip: !existsSync(folder) && 'no ../shared' }, async (t) => {
    const oracle = oracleOf(folder);
    const checkpoint = openCheckpoint(folder);
    t.teardown(() => checkpoint.close());
    const graph = buildGraph(checkpoint, oracle.ids.length);
    const weights = checkpointWeights(checkpoint, graph);
    const logits = new FloatEvaluator(graph, weights, algebra).run(oracle.ids);
    t.ok(
      largestDifference(logits, oracle.logits.flat()) < 1e-3,
      'logits of every position within 1e-3 of the oracle',
    );

    // Random weights: int8 activations alone give 3 to 5 % over two or three layers (docs/arithmetic.md, section 3).
    const { float, integer } = await bothLogits(checkpoint, oracle.ids.length, oracle.ids, oracle.ids);
    const noise = relativeNoise(float, integer);
    t.ok(noise < 0.06, `integers differ by ${(100 * noise).toFixed(2)} % of the spread, less than 6 %`);
  });
}

for (const name of ['os-nano', 'os-tiny', 'prose-gpt2', 'causal-crystal-788']) {
  const folder = join(models, name);
  t.test(`prompts of ${name}`, { skip: !existsSync(folder) && 'no ../shared' }, async (t) => {
    const checkpoint = openCheckpoint(folder);
    t.teardown(() => checkpoint.close());
    const { prompts } = oracleOf(folder);
    const graph = buildGraph(checkpoint, Math.max(...prompts.map(({ ids }) => ids.length)));
    const evaluator = new FloatEvaluator(graph, checkpointWeights(checkpoint, graph), algebra);
    for (const { ids, last_logits } of prompts) {
      evaluator.reset();
      const last = evaluator.run(ids).subarray(-graph.vocabSize);
      t.ok(largestDifference(last, last_logits) < 1e-3, `${ids.length} tokens`);
    }
  });
}

const bundled = join(root, 'models', 'os-nano');
const bundledIds = (name: string, count: number) => {
  const bytes = readFileSync(join(bundled, name));
  return Array.from({ length: count }, (_, i) => bytes.readUInt16LE(2 * i));
};

t.test('integers on the bundled model: no bias in the likelihood', async (t) => {
  const checkpoint = openCheckpoint(bundled);
  t.teardown(() => checkpoint.close());
  const { vocabSize } = checkpoint.config;
  const ids = bundledIds('validation.u16', 100);
  const { float, integer } = await bothLogits(checkpoint, 128, bundledIds('calibration.u16', 1024), ids);
  const noise = relativeNoise(float, integer);
  t.ok(noise < 0.04, `integers differ by ${(100 * noise).toFixed(2)} % of the spread, less than 4 %`);

  const losses = ids.slice(1).map((next, position) => {
    const row = (logits: Float32Array) => logits.subarray(position * vocabSize, (position + 1) * vocabSize);
    return negativeLogLikelihood(row(integer), next) - negativeLogLikelihood(row(float), next);
  });
  const mean = losses.reduce((sum, d) => sum + d, 0) / losses.length;
  const deviation = Math.sqrt(losses.reduce((sum, d) => sum + (d - mean) ** 2, 0)) / losses.length;
  t.ok(
    Math.abs(mean) < 4 * deviation + 0.003,
    `loss differs by ${mean.toFixed(4)} +- ${deviation.toFixed(4)}`,
  );
  t.ok(deviation < 0.02, 'and the test could see more');
});

function negativeLogLikelihood(logits: Float32Array, id: number): number {
  const max = logits.reduce((a, b) => Math.max(a, b));
  return max + Math.log(logits.reduce((sum, v) => sum + Math.exp(v - max), 0)) - logits[id]!;
}

t.test(
  'logits do not depend on how the tokens are cut into calls, nor on the linear algebra but for rounding',
  async (t) => {
    const checkpoint = openCheckpoint(bundled);
    t.teardown(() => checkpoint.close());
    const graph = buildGraph(checkpoint, 12);
    const weights = checkpointWeights(checkpoint, graph);
    const ids = bundledIds('validation.u16', 12);
    const whole = new FloatEvaluator(graph, weights, algebra).run(ids).slice();
    const parts = new FloatEvaluator(graph, weights, algebra);
    const pieces = [ids.slice(0, 1), ids.slice(1, 8), ids.slice(8)].flatMap((part) => [...parts.run(part)]);
    t.ok(largestDifference(whole, pieces) < 1e-4, 'in one call and in three');
    t.throws(() => parts.run([0]), RangeError, 'beyond the context');
    parts.reset();
    t.ok(largestDifference(parts.run(ids), pieces) < 1e-4, 'after a reset');
    const plain = new FloatEvaluator(graph, weights, new PlainLinearAlgebra()).run(ids.slice(0, 3));
    t.ok(largestDifference(whole.subarray(0, plain.length), [...plain]) < 1e-4, 'plain');
  },
);
