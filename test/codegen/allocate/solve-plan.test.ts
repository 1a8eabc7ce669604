import t from 'tap';
import type { AllocatedFormat } from '../../../codegen/allocate/sensitivity.js';
import { type Goal, planOf, solvePlan } from '../../../codegen/allocate/solve-plan.js';
import { DivergenceProbe } from '../../../codegen/calibrate/divergence-probe.js';
import { dequantizedWeights } from '../../../codegen/calibrate/float-weights.js';
import { formats } from '../../../codegen/quantize/format.js';
import { namedPlans, parsePlan, resolvePlan } from '../../../codegen/quantize/plan.js';
import { quietContext } from '../evaluate/tiny-bundle.js';
import { tinyProblem } from './tiny-problem.js';

const problem = tinyProblem(t);
const { graph, checkpoint, weights, probe } = problem;
const infoOf = (name: string) => graph.matrices.find((matrix) => matrix.name === name)!;
const bytesOf = (name: string, format: AllocatedFormat) => {
  // Without sub-scales and padding, which in matrices this small outweigh a bit a weight.
  const { rows, columns } = infoOf(name);
  return Math.ceil((rows * columns * formats[format].bits) / 8);
};
const total = (format: AllocatedFormat) =>
  graph.matrices.reduce((sum, { name }) => sum + bytesOf(name, format), 0);
const solve = (goal: Goal) => solvePlan({ ...problem, bytesOf, goal }, quietContext());
const lossOf = (maxLoss: number): Goal => ({ kind: 'loss', maxLoss, certifiedPositions: 1e6 });

t.test('the less may be lost, the more bytes it takes; what is measured is allowed', async (t) => {
  let before = 0;
  for (const maxLoss of [0.012, 0.006, 0.0035]) {
    const solution = (await solve(lossOf(maxLoss)))!;
    const { chosen, rounds, matrices, met } = solution;
    t.ok(met, `${rounds.length} rounds`);
    const { kld, lnRatio } = chosen.measured;
    t.ok(Math.max(kld, lnRatio) <= Math.log1p(maxLoss) - 0.0025, `divergence ${kld.toExponential(2)}`);
    t.ok(chosen.bytes > before && chosen.bytes < total('w8'), `${chosen.bytes} bytes`);
    before = chosen.bytes;

    const planned = resolvePlan(
      parsePlan(JSON.parse(JSON.stringify(chosen.plan)), 'auto'),
      graph.matrices,
      'auto',
    );
    for (const { name } of graph.matrices) t.equal(matrices.get(name)!.format, planned.get(name), name);
    const again = await DivergenceProbe.over(graph, weights, probe, new AbortController().signal);
    const found = await again.measure(
      dequantizedWeights(checkpoint, graph, matrices),
      new AbortController().signal,
    );
    t.same(found, chosen.measured, 'these matrices are what was measured');
  }
});

t.test('predictions are near what is measured', async (t) => {
  for (const { predicted, measured } of (await solve(lossOf(0.008)))!.rounds) {
    // Two layers of 16 columns: a single matrix is much of the whole.
    const ratio = predicted / measured.kld;
    t.ok(ratio > 0.6 && ratio < 1.6, `predicted over measured: ${ratio.toFixed(2)}`);
  }
});

t.test('the least loss within a size', async (t) => {
  const maxBytes = Math.floor((total('w4') + total('w5')) / 2);
  const { chosen, met } = (await solve({ kind: 'bytes', maxBytes }))!;
  t.ok(met && chosen.bytes <= maxBytes && chosen.bytes > total('w4'));
  const uniform = (await solve({ kind: 'bytes', maxBytes: total('w4') }))!;
  t.ok(chosen.measured.kld < uniform.chosen.measured.kld);
  t.same(uniform.chosen.plan.rules, [{ match: '*', format: 'w4' }]);
  t.equal(await solve({ kind: 'bytes', maxBytes: total('w4') - 1 }), null);
});

t.test('what cannot be met', async (t) => {
  t.equal(await solve(lossOf(0.002)), null, 'less than the integers alone cost');
  const noisy = (await solve({ kind: 'loss', maxLoss: 0.004, certifiedPositions: 1 }))!;
  t.equal(noisy.met, false, 'the certification would be all noise');
  const shares = noisy.rounds.map(({ measured }) => measured.kld);
  t.equal(noisy.chosen.measured.kld, Math.min(...shares), 'the best there is');
});

t.test('a plan of an allocation: the most common format last', async (t) => {
  const allocation: [string, AllocatedFormat][] = [
    ['a', 'w5'],
    ['b', 'w4'],
    ['c', 'w5'],
  ];
  t.same(planOf(new Map(allocation), 64), {
    ...{ schemaVersion: 1, name: 'auto', groupSize: 64 },
    rules: [
      { match: 'b', format: 'w4' },
      { match: '*', format: 'w5' },
    ],
  });
  t.same(planOf(new Map([['a', 'w4' as const]]), 32).rules, namedPlans.int4!.rules);
});
