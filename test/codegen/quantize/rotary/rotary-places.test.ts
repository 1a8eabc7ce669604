/** Where keys can be turned. */
import t, { type Test } from 'tap';
import { openCheckpoint } from '../../../../codegen/checkpoint/open.js';
import { buildGraph } from '../../../../codegen/graph/build.js';
import type { Graph } from '../../../../codegen/graph/graph.js';
import { rotaryPlaces } from '../../../../codegen/quantize/rotary/rotary-places.js';
import { tinyTensor, writeTinyModel } from '../../checkpoint/tiny-model.js';
import { tinyFamilies } from '../folds/tiny-folds.js';

function graphOf(t: Test, family: keyof typeof tinyFamilies): Graph {
  const checkpoint = tinyFamilies[family](t.testdir());
  t.teardown(() => checkpoint.close());
  return buildGraph(checkpoint, 16);
}

t.test('before rope, with biases, where heads share keys as well', async (t) => {
  const place = { headDim: 4, keyBuffer: 'k', queryBuffer: 'q', layer: 0 };
  t.same(rotaryPlaces(graphOf(t, 'llama with shared heads'))[0], {
    ...{ ...place, name: 'layers.0.attn.k', channels: 8, shared: 2 },
    ...{ keys: ['layers.0.attn.k'], queries: ['layers.0.attn.q'] },
  });
  const unshared = rotaryPlaces(graphOf(t, 'llama without'));
  t.equal(unshared.length, 2);
  t.same(unshared[0], {
    ...{ ...place, name: 'layers.0.attn.k', channels: 16, shared: 1 },
    ...{ keys: ['layers.0.attn.k', 'layers.0.attn.k.bias'] },
    ...{ queries: ['layers.0.attn.q', 'layers.0.attn.q.bias'] },
  });
});

t.test('not without rope', async (t) => {
  for (const family of ['gpt2', 'crystal'] as const) t.same(rotaryPlaces(graphOf(t, family)), []);
});

t.test('not behind norms of heads, nor where another op names the matrix', async (t) => {
  const norms = [0, 1].flatMap((layer) =>
    ['q', 'k'].map((name) => `model.layers.${layer}.self_attn.${name}_norm.weight`),
  );
  const checkpoint = openCheckpoint(
    writeTinyModel(t.testdir(), {
      config: { architectures: ['Qwen3ForCausalLM'], model_type: 'qwen3', head_dim: 4 },
      tensors: Object.fromEntries(norms.map((name) => [name, tinyTensor(name, [4])])),
    }),
  );
  t.teardown(() => checkpoint.close());
  t.same(rotaryPlaces(buildGraph(checkpoint, 16)), []);
  const graph = graphOf(t, 'llama without');
  const layers = graph.layers.map((ops) =>
    ops.map((op) => (op.kind === 'linear' && op.name === 'v' ? { ...op, matrix: 'layers.0.attn.k' } : op)),
  );
  t.same(
    rotaryPlaces({ ...graph, layers }).map(({ layer }) => layer),
    [1],
  );
});
