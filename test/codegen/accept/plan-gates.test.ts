/** Gates besides the loss, for a search: what few bits cannot do any more, and many can. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { continueGreedily } from '../../../codegen/accept/float-continuation.js';
import { planGates } from '../../../codegen/accept/plan-gates.js';
import { whyNotMeasurable } from '../../../codegen/allocate/certify.js';
import { Pcg32 } from '../../../codegen/arithmetic/pcg32.js';
import { FloatEvaluator } from '../../../codegen/calibrate/float-evaluator.js';
import { checkpointWeights } from '../../../codegen/calibrate/float-weights.js';
import { createLinearAlgebra } from '../../../codegen/calibrate/linear-algebra.js';
import { goldenRun, greedySampling } from '../../../codegen/evaluate/golden-run.js';
import { hostTarget } from '../../../codegen/evaluate/host-target.js';
import { openReferenceSource, readReference } from '../../../codegen/evaluate/reference-model.js';
import { buildTinyBundle, quietContext } from '../evaluate/tiny-bundle.js';

const WINDOW = 16;
const ITEMS = 50;

t.test('a task that the checkpoint knows', { skip: (await whyNotMeasurable()) ?? false }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'em-plan-gates-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const target = await hostTarget();
  const { signal } = new AbortController();
  const random = new Pcg32(7n);
  const drawn = (count: number) => Array.from({ length: count }, () => 1 + random.nextBelow(11));
  const windows = { ids: Int32Array.from(drawn(8 * WINDOW)), window: WINDOW, left: 0 };
  const opened = async (name: string) => {
    const { bundle, manifest } = await buildTinyBundle(join(folder, name), target, name);
    const source = openReferenceSource(manifest, null);
    t.teardown(() => source.checkpoint.close());
    const { model } = await readReference(bundle, manifest, source, quietContext());
    return { source, plan: manifest.plan, model };
  };
  const int16 = await opened('int16');
  const int4 = await opened('int4');
  const { source } = int16;
  const { graph } = int16.model;
  const weights = checkpointWeights(source.checkpoint, graph);
  const float = new FloatEvaluator(graph, weights, createLinearAlgebra());
  const task: { prompt: number[]; completion: number[] }[] = [];
  while (task.length < ITEMS) {
    const prompt = drawn(3);
    const completion = await continueGreedily(float, prompt, 4, [], signal);
    // The model knows nothing, so that int8 activations alone often change its mind: where they do not.
    const own = goldenRun(int16.model, null, prompt, 4, greedySampling, []).tokenIds;
    if (own.join() === completion.join()) task.push({ prompt, completion });
  }

  const gates = planGates({ prompts: null, task });
  const failed = ({ plan, model }: typeof int16) =>
    gates({ source, graph, windows }, plan, model, quietContext());
  t.same(await failed(int16), []);
  t.ok((await failed(int4)).includes('task'));
  t.same(await failed(int16), [], 'the checkpoint is asked once, and answers alike');

  const asked = planGates({ prompts: [{ text: null, ids: [1, 2, 3] }], task: null });
  t.same(
    await asked({ source, graph, windows }, int4.plan, int4.model, quietContext()),
    [],
    'one prompt says nothing',
  );
});
