/** Sensitivities of the tiny model: what is measured one by one, and what follows for all of them. */
import t from 'tap';
import {
  type AllocatedFormat,
  allocatedFormats,
  measureSensitivities,
} from '../../../codegen/allocate/sensitivity.js';
import { DivergenceProbe } from '../../../codegen/calibrate/divergence-probe.js';
import { dequantizedWeights } from '../../../codegen/calibrate/float-weights.js';
import { silentProgress } from '../../../codegen/progress.js';
import { quantizeSequentially } from '../../../codegen/quantize/gptq/quantize-sequentially.js';
import { tinyProblem } from './tiny-problem.js';

const { probe, ...common } = tinyProblem(t);
const { graph, checkpoint, weights, calibration } = common;
const stage = { progress: silentProgress, signal: new AbortController().signal };

const reference = await DivergenceProbe.over(graph, weights, probe, stage.signal);
const sensitivities = await measureSensitivities({ ...common, probe }, stage);
const predicted = (format: AllocatedFormat) =>
  sensitivities.reduce((sum, { divergence }) => sum + divergence[format], 0);

t.test('every matrix has one, which falls with every bit', async (t) => {
  t.same(
    sensitivities.map(({ matrix }) => matrix),
    graph.matrices.map(({ name }) => name),
  );
  for (const { matrix, divergence } of sensitivities) {
    const falling = allocatedFormats.map((format) => divergence[format]);
    t.ok(
      falling.every((v, i) => v > 0 && (i === 0 || v < falling[i - 1]!)),
      `${matrix}: ${falling.map((v) => v.toExponential(1)).join(' ')}`,
    );
  }
});

for (const format of ['w5', 'w6'] as const) {
  t.test(`${format} everywhere: the sum of all is nearly what is measured`, async (t) => {
    const formats = new Map(graph.matrices.map(({ name }) => [name, format]));
    const matrices = await quantizeSequentially({ ...common, formats, windows: calibration }, stage);
    const own = dequantizedWeights(checkpoint, graph, matrices);
    const ratio = predicted(format) / (await reference.measure(own, stage.signal)).kld;
    t.ok(ratio > 0.75 && ratio < 1.33, `predicted over measured: ${ratio.toFixed(3)}`);
  });
}

t.test('the same input gives the same sensitivities, to the last bit', async (t) => {
  t.same(await measureSensitivities({ ...common, probe }, stage), sensitivities);
});
