/** Scales that a .crystal file lacks, fitted to text of the model itself. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Pcg32 } from '../../../codegen/arithmetic/pcg32.js';
import { completeCrystal } from '../../../codegen/calibrate/complete-crystal.js';
import { FloatEvaluator } from '../../../codegen/calibrate/float-evaluator.js';
import { checkpointWeights } from '../../../codegen/calibrate/float-weights.js';
import { createLinearAlgebra } from '../../../codegen/calibrate/linear-algebra.js';
import { type CompletionChoice, openCrystalFile } from '../../../codegen/checkpoint/crystal-file.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { silentProgress } from '../../../codegen/progress.js';
import { root } from '../../templates/c-compiler.js';

const data = join(root, 'test', 'data', 'crystal-files');
const folder = mkdtempSync(join(tmpdir(), 'embed-model-complete-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
t.setTimeout(300_000);

const stage = { progress: silentProgress, signal: new AbortController().signal };

/** Runs windows of 8 through a file, which `next` may extend; returns the mean loss in nats. */
function evaluate(
  path: string,
  completion: CompletionChoice,
  ids: number[],
  next?: (row: Float32Array) => number,
): number {
  const checkpoint = openCrystalFile(path, completion);
  const graph = buildGraph(checkpoint, 8);
  const evaluator = new FloatEvaluator(graph, checkpointWeights(checkpoint, graph), createLinearAlgebra());
  let sum = 0;
  let count = 0;
  for (let at = 0; at < ids.length; at++) {
    if (at % 8 === 0) evaluator.reset();
    const row = evaluator.run([ids[at]!]);
    if (at % 8 === 7) continue;
    if (next !== undefined) ids[at + 1] = next(row);
    const total = row.reduce((all, v) => all + Math.exp(v), 0);
    sum += Math.log(total) - row[ids[at + 1]!]!;
    count++;
  }
  checkpoint.close();
  return sum / count;
}

t.test('a fit to text of the model finds scales that predict other text of it', async (t) => {
  const truth = join(data, 'v1-float32.crystal');
  const broken = join(data, 'v1-int8.crystal');
  const random = new Pcg32(5n);
  const draw = (row: Float32Array) => {
    const sharp = Array.from(row, (v) => Math.exp(3 * v));
    let left = (random.nextU32() / 2 ** 32) * sharp.reduce((a, b) => a + b, 0);
    const drawn = sharp.findIndex((w) => {
      left -= w;
      return left < 0;
    });
    return Math.max(0, drawn);
  };
  const text = (windows: number) => {
    const ids = Array.from({ length: 8 * windows }, (_, i) => (i * 7) % 40);
    evaluate(truth, null, ids, draw);
    return ids;
  };
  const [training, others] = [text(24), text(24)];
  const path = join(folder, 'text.u16');
  writeFileSync(path, Buffer.from(Uint16Array.from(training).buffer));
  const request = { model: broken, calibration: path };
  const completion = await completeCrystal(request, stage);
  t.match(completion, { scales: { pos_embed: {}, values: {}, temperature: {} } });
  const asRuntime = evaluate(broken, 'as-runtime', training);
  const fitted = evaluate(broken, completion, training);
  t.ok(fitted < asRuntime, `${fitted.toFixed(3)} nats, ${asRuntime.toFixed(3)} as the runtime reads it`);
  const better = evaluate(broken, completion, others) - evaluate(broken, 'as-runtime', others);
  t.ok(better < 0.02, `on other text ${better.toFixed(3)} nats`);
});

t.test('nothing is fitted where nothing is missing, or no text is given', async (t) => {
  const calibration = join(folder, 'none.u16');
  t.equal(await completeCrystal({ model: join(data, 'v2-flat-mixed8.crystal'), calibration }, stage), null);
  t.equal(await completeCrystal({ model: join(data, 'v1-int8.crystal'), calibration: null }, stage), null);
  t.equal(await completeCrystal({ model: null, calibration }, stage), null, 'the bundled model');
  const scales = join(folder, 'scales.json');
  writeFileSync(scales, '{"values": {"scale": 1, "offset": 0}}');
  const given = await completeCrystal(
    { model: join(data, 'v1-int8.crystal'), calibration: null, scales },
    stage,
  );
  t.same(given, { scales: { values: { scale: 1, offset: 0 } } });
});
