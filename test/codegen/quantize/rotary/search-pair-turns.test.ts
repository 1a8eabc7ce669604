/** Keys of a whole model. */
import t from 'tap';
import { checkpointWeights } from '../../../../codegen/calibrate/float-weights.js';
import { createLinearAlgebra } from '../../../../codegen/calibrate/linear-algebra.js';
import type { Checkpoint } from '../../../../codegen/checkpoint/checkpoint.js';
import type { WeightGrid } from '../../../../codegen/checkpoint/prequantized/weight-grid.js';
import { buildGraph } from '../../../../codegen/graph/build.js';
import { foldRecord, parseFolds } from '../../../../codegen/quantize/folds/folds.js';
import { rotaryPlaces } from '../../../../codegen/quantize/rotary/rotary-places.js';
import { searchPairTurns, turnKeys } from '../../../../codegen/quantize/rotary/search-pair-turns.js';
import { quietContext } from '../../evaluate/tiny-bundle.js';
import { tinyFamilies } from '../folds/tiny-folds.js';

const text = { source: 'ids', ids: Array.from({ length: 100 }, (_, i) => (5 * i * i) % 12) };

t.test('folds of the model, the same every time, which a manifest can hold', async (t) => {
  const checkpoint = tinyFamilies['llama with shared heads'](t.testdir());
  t.teardown(() => checkpoint.close());
  const graph = buildGraph(checkpoint, 48);
  const weights = checkpointWeights(checkpoint, graph);
  const search = () => searchPairTurns(graph, weights, text, createLinearAlgebra(), quietContext());
  const folds = await search();
  t.ok(folds.size > 0);
  t.same(await search(), folds);
  t.same(parseFolds(foldRecord(folds), rotaryPlaces(graph), 'x'), folds);
});

t.test('integers that came with the model are left alone, and what has no rope', async (t) => {
  const plain = tinyFamilies['llama with shared heads'](t.testdir());
  const gpt2 = tinyFamilies.gpt2(t.testdir());
  t.teardown(() => [plain, gpt2].map((one) => one.close()));
  const { path, format, formatText, name, config, tensors } = plain;
  const grid: WeightGrid = {
    ...{ rows: 1, columns: 1, groups: 1, codes: Int16Array.of(3), scales: Float32Array.of(0.5) },
    ...{ groupOf: Int32Array.of(0), groupSize: 1 },
  };
  const quantized: Checkpoint = {
    ...{ path, format, formatText, name, config, tensors, gridOf: () => grid },
    readRows: (...rows) => plain.readRows(...rows),
    sha256: () => plain.sha256(),
    close: () => plain.close(),
  };
  for (const checkpoint of [quantized, gpt2]) {
    const graph = buildGraph(checkpoint, 16);
    const weights = checkpointWeights(checkpoint, graph);
    const named = { name: 'tiny', source: 'tiny', path: checkpoint.path };
    const source = { ...named, checkpoint, tokenizer: null, bosId: null };
    const turned = await turnKeys(source, graph, weights, text, createLinearAlgebra(), quietContext());
    t.equal(turned.source, source);
    t.equal(turned.weights, weights);
  }
});
