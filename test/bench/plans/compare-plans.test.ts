/** The comparison of plans on a tiny model: what is compared at the same bytes, and what the seeds decide. */
import t from 'tap';
import { buildGraph } from '../../../codegen/graph/build.js';
import { tinyProblem } from '../../codegen/allocate/tiny-problem.js';
import { quietContext } from '../../codegen/evaluate/tiny-bundle.js';
import { shapeCheckpoint } from '../../codegen/graph/shape-checkpoint.js';
import { comparePlans } from './compare-plans.js';
import { referencePlans } from './reference-plans.js';

t.test('plans and methods by seed', async (t) => {
  const { graph, checkpoint, calibration, probe } = tinyProblem(t);
  const model = {
    ...{ graph, checkpoint, calibration: Int32Array.from(calibration.flat()) },
    validation: Int32Array.from(probe.flat()),
  };
  const { plans, positions } = await comparePlans(model, [1, 2], 4096, quietContext());
  t.equal(positions, 4 * 47, 'the second half of the validation text, in windows of the context');
  t.same(
    plans.map(({ name }) => name),
    referencePlans(graph).map(({ name }) => name),
  );
  const byName = new Map(plans.map((plan) => [plan.name, plan]));
  const [w4, w5, w6] = ['w4', 'w5', 'w6'].map((name) => byName.get(name)!);
  t.ok(w4!.nearest > w5!.nearest && w5!.nearest > w6!.nearest);
  t.ok(w4!.bitsPerWeight < w5!.bitsPerWeight && w5!.bitsPerWeight < w6!.bitsPerWeight);
  for (const { gptq, allocated, name } of plans) {
    t.ok(
      [...gptq, ...allocated].every((kld) => kld > 0 && kld < 1),
      name,
    );
    t.equal(gptq.length, 2);
    t.equal(allocated.length, 2);
  }
  // Of all bytes that w4 everywhere takes, no other allocation is left.
  t.same(w4!.allocated, w4!.gptq);
  const again = await comparePlans(model, [2], 4096, quietContext());
  t.same(
    again.plans.map(({ gptq }) => gptq[0]),
    plans.map(({ gptq }) => gptq[1]),
    'a seed says it all',
  );
  const fewer = await comparePlans(model, [], 96, quietContext());
  t.equal(fewer.positions, 2 * 47, 'as many tokens as asked for');
});

t.test('rules of thumb', (t) => {
  const graph = buildGraph(shapeCheckpoint({ layers: 8 }), 64);
  const plan = (name: string) => referencePlans(graph).find((one) => one.name.includes(name))!.formats;
  const mixed = plan('Q4_K_M');
  // use_more_bits of 8 layers: the first and the last eighth, and every third between.
  const favoured = [...mixed].filter(([name, format]) => name.endsWith('.mlp.down') && format === 'w6');
  t.same(
    favoured.map(([name]) => name),
    [0, 3, 6, 7].map((layer) => `layers.${layer}.mlp.down`),
  );
  t.equal(mixed.get('layers.0.attn.q'), 'w4');
  const outer = plan('first and last layer');
  t.equal(outer.get('layers.0.attn.q'), 'w8');
  t.equal(outer.get('layers.1.attn.q'), 'w4');
  t.end();
});
