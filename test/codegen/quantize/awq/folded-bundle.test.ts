/** A bundle whose weights were scaled and keys turned: what reads it later finds the same model. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { AutoRecord } from '../../../../codegen/allocate/auto-record.js';
import { Pcg32 } from '../../../../codegen/arithmetic/pcg32.js';
import type { QuantizationSummary } from '../../../../codegen/bundle/quantization-summary.js';
import { FloatEvaluator, type FloatWeights } from '../../../../codegen/calibrate/float-evaluator.js';
import { checkpointWeights, dequantizedWeights } from '../../../../codegen/calibrate/float-weights.js';
import { PlainLinearAlgebra } from '../../../../codegen/calibrate/linear-algebra-plain.js';
import { openCheckpoint } from '../../../../codegen/checkpoint/open.js';
import { findToolchain } from '../../../../codegen/compile/toolchain.js';
import { evaluateBundle } from '../../../../codegen/evaluate/evaluate-bundle.js';
import { goldenRun } from '../../../../codegen/evaluate/golden-run.js';
import { hostTarget } from '../../../../codegen/evaluate/host-target.js';
import { openReferenceSource, readReference } from '../../../../codegen/evaluate/reference-model.js';
import { exportBundle } from '../../../../codegen/export/export-bundle.js';
import { buildGraph } from '../../../../codegen/graph/build.js';
import type { Graph } from '../../../../codegen/graph/graph.js';
import { build } from '../../../../codegen/pipeline.js';
import { namedPlans, type Plan } from '../../../../codegen/quantize/plan.js';
import { methodNames } from '../../../../codegen/quantize/quantize-model.js';
import { expectError } from '../../checkpoint/expect-error.js';
import { quietContext } from '../../evaluate/tiny-bundle.js';
import { writeUnsharedLlama } from '../folds/tiny-folds.js';

t.setTimeout(300_000);

const obstacle = await hostTarget().then(
  (target) => findToolchain(target).then(() => false as const),
  (error: unknown) => String(error),
);
const folder = mkdtempSync(join(tmpdir(), 'em-folded-'));
t.teardown(() => rmSync(folder, { recursive: true }));
const random = new Pcg32(5n);
const ids = join(folder, 'ids.u16');
writeFileSync(
  ids,
  Uint16Array.from({ length: 2048 }, () => random.nextBelow(12)),
);

function logitsOf(graph: Graph, weights: FloatWeights): Float32Array {
  return new FloatEvaluator(graph, weights, new PlainLinearAlgebra()).run([1, 7, 4, 0, 11]).slice();
}

/** The largest difference over the largest value. */
function apart(a: Float32Array, b: Float32Array): number {
  const size = a.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
  return a.reduce((max, v, i) => Math.max(max, Math.abs(v - b[i]!)), 0) / size;
}

t.test('a search that begins with folded scales', { skip: obstacle }, async (t) => {
  const target = await hostTarget();
  const model = writeUnsharedLlama(join(folder, 'searched'));
  const held = join(folder, 'held.u16');
  writeFileSync(
    held,
    Uint16Array.from({ length: 4096 }, () => random.nextBelow(12)),
  );
  const search = async (calibration: string, name: string) => {
    const context = quietContext();
    const built = await build(
      {
        ...{ target, model, out: join(folder, name), calibration, validation: held, method: 'awq+gptq' },
        ...{ plan: namedPlans.int8!, auto: { maxBytes: null, asked: true }, maxLoss: 0.2 },
        ...{ context: null, toolchain: null, fetch: false },
        ...{ singleFile: false, tokenizer: false, prompt: null, tokens: 4, threads: 1, run: true },
      },
      context,
    );
    const read = (file: string) => JSON.parse(readFileSync(join(built.bundle, 'report', file), 'utf8'));
    const summary: QuantizationSummary = read('quantization_summary.json');
    return { ...built, warnings: context.warnings, auto: read('auto.json') as AutoRecord, summary };
  };
  const scaled = await search(ids, 'scaled');
  const { method, folds, comparison } = scaled.manifest.quantization;
  t.equal(comparison!.plan, 'int4', 'scales are those that help most in 4 bits');
  t.ok(Object.keys(folds!).length > 0);
  t.ok(scaled.auto.variants.every((one) => one.method === 'awq' || one.method === 'awq+gptq'));
  t.equal(method, methodNames[scaled.auto.variants[scaled.auto.chosen]!.method]);
  t.match(scaled.summary.searchedWith, { plan: 'int4', positions: comparison!.comparedPositions });
  t.same(
    scaled.summary.searchedWith!.methods.map(({ method }) => method),
    ['round to nearest', 'AWQ and GPTQ'],
  );
  const { variants, chosen, certification } = scaled.auto;
  const inFloat = variants[chosen]!.float!.kld;
  const { mean } = certification!.kld;
  t.ok(mean < 2 * inFloat, `${mean} from the checkpoint as it was, ${inFloat} from it with scales`);
  t.equal(scaled.result.output.matchesGolden, true);

  // One token over and over: fitted to that alone, weights predict other text worse than rounded ones.
  const even = join(folder, 'even.u16');
  writeFileSync(
    even,
    Uint16Array.from({ length: 3000 }, (_, i) => (i < 2600 ? 5 : (i * i) % 12)),
  );
  const plain = await search(even, 'plain');
  const { divergence } = plain.manifest.quantization.comparison!;
  t.ok(divergence['awq+gptq']! > divergence.nearest!, JSON.stringify(divergence));
  const keys = ['layers.0.attn.k', 'layers.1.attn.k'];
  t.same(Object.keys(plain.manifest.quantization.folds ?? {}), keys, 'what every build turns');
  t.match(
    plain.warnings.join('\n'),
    /channels are not scaled before GPTQ, which diverges less: AWQ and GPTQ \d/,
  );
  t.notMatch(plain.warnings.join('\n'), /weights are rounded to nearest/, 'the search fits them');
});

t.test('a bundle with folded scales', { skip: obstacle }, async (t) => {
  const target = await hostTarget();
  const plan: Plan = {
    ...{ schemaVersion: 1, name: 'five', groupSize: 32, rotate: false },
    rules: [{ match: '*', format: 'w5' }],
  };
  const model = writeUnsharedLlama(join(folder, 'model'));
  const { bundle, manifest } = await build(
    {
      ...{ target, model, out: join(folder, 'bundle'), calibration: ids, method: 'awq+gptq' },
      ...{ plan, context: null, toolchain: null, fetch: false },
      ...{ singleFile: false, tokenizer: false, prompt: null, tokens: 4, threads: 1, run: true },
    },
    quietContext(),
  );
  const { method, folds, comparison } = manifest.quantization;
  t.equal(method, 'AWQ and GPTQ');
  t.ok(comparison!.divergence['awq+gptq']! < comparison!.divergence.nearest!);
  const names = Object.keys(folds!);
  t.ok(
    ['norm', 'mlp.up', 'attn.k'].every((end) => names.some((name) => name.endsWith(end))),
    `${names}`,
  );

  t.test('is the model of its golden runs, and in float that of the checkpoint', async (t) => {
    const source = openReferenceSource(manifest, null);
    t.teardown(() => source.checkpoint.close());
    const reference = await readReference(bundle, manifest, source, quietContext());
    const checkpoint = openCheckpoint(model);
    t.teardown(() => checkpoint.close());
    const plain = logitsOf(reference.graph, checkpointWeights(checkpoint, reference.graph));
    t.ok(apart(plain, logitsOf(reference.graph, reference.weights)) < 1e-5);
    const golden = manifest.golden[0]!;
    const { prompt, promptIds, tokenIds, sampling } = golden;
    const { eosIds } = checkpoint.config;
    t.same(goldenRun(reference.model, prompt, promptIds, tokenIds.length, sampling, eosIds), golden);
  });

  t.test('eval finds what its integers cost, with the vectors that they belong to', async (t) => {
    const options = {
      text: null,
      ids,
      model: null,
      window: 32,
      limit: 512,
      threshold: 0.5,
      integerCost: true,
    };
    const report = await evaluateBundle(bundle, options, quietContext());
    t.ok(report.kld.mean < 0.5, `${report.kld.mean}`);
    t.ok(report.integerCost!.kld.mean < 0.05, `${report.integerCost!.kld.mean}`);
  });

  t.test('export writes gains and weights that belong together', async (t) => {
    const out = join(folder, 'exported');
    await exportBundle(bundle, { out, model: null }, quietContext());
    const exported = openCheckpoint(out);
    const source = openReferenceSource(manifest, null);
    t.teardown(() => [exported, source.checkpoint].map((one) => one.close()));
    const { graph, matrices } = await readReference(bundle, manifest, source, quietContext());
    const own = logitsOf(graph, dequantizedWeights(source.checkpoint, graph, matrices));
    const read = buildGraph(exported, graph.context);
    t.ok(apart(own, logitsOf(read, checkpointWeights(exported, read))) < 1e-4);
  });

  t.test('scales of a place that the model does not have are refused', async (t) => {
    const { quantization } = manifest;
    for (const damaged of [{ 'layers.0.attn.k': 'AAAA' }, { [names[0]!]: 'AAAA' }]) {
      const edited = { ...manifest, quantization: { ...quantization, folds: damaged } };
      expectError(t, 'EM1401', /quantization\.folds/, () => openReferenceSource(edited, null));
    }
  });
});
