import t, { type Test } from 'tap';
import { buildGraph } from '../../../../codegen/graph/build.js';
import type { Graph, Op } from '../../../../codegen/graph/graph.js';
import { foldPlaces } from '../../../../codegen/quantize/awq/fold-places.js';
import { tinyFamilies } from '../folds/tiny-folds.js';

function graphOf(t: Test, family: keyof typeof tinyFamilies, rotate = false): Graph {
  const checkpoint = tinyFamilies[family](t.testdir());
  t.teardown(() => checkpoint.close());
  return buildGraph(checkpoint, 16, rotate);
}

const namesOf = (graph: Graph) => foldPlaces(graph).map(({ name }) => name);

t.test('llama: behind norms; behind v and up where these have channels of their own', async (t) => {
  const graph = graphOf(t, 'llama without');
  t.same(foldPlaces(graph).slice(0, 4), [
    {
      ...{ name: 'layers.0.attn_norm', channels: 16, divided: ['layers.0.attn_norm'] },
      multiplied: ['layers.0.attn.q', 'layers.0.attn.k', 'layers.0.attn.v'],
    },
    {
      ...{ name: 'layers.0.attn.v', channels: 16, divided: ['layers.0.attn.v', 'layers.0.attn.v.bias'] },
      multiplied: ['layers.0.attn.o'],
    },
    {
      ...{ name: 'layers.0.mlp_norm', channels: 16, divided: ['layers.0.mlp_norm'] },
      multiplied: ['layers.0.mlp.gate', 'layers.0.mlp.up'],
    },
    {
      ...{ name: 'layers.0.mlp.up', channels: 20, divided: ['layers.0.mlp.up'] },
      multiplied: ['layers.0.mlp.down'],
    },
  ]);
  t.same(foldPlaces(graph).at(-1), {
    ...{ name: 'head_norm', channels: 16, divided: ['head_norm'], multiplied: ['head'] },
  });
});

t.test('not where heads share values, nor for a head that is the embedding', async (t) => {
  const names = namesOf(graphOf(t, 'llama with shared heads'));
  t.same(
    names,
    [0, 1].flatMap((layer) => ['attn_norm', 'mlp_norm', 'mlp.up'].map((name) => `layers.${layer}.${name}`)),
  );
});

t.test('not through a Hadamard transform', async (t) => {
  const names = namesOf(graphOf(t, 'llama without', true));
  t.notOk(names.some((name) => name.endsWith('mlp.up')));
  t.equal(names.length, 2 * 3 + 1);
});

t.test('not through GELU', async (t) => {
  const places = foldPlaces(graphOf(t, 'gpt2'));
  t.notOk(places.some(({ multiplied }) => multiplied.some((name) => name.endsWith('mlp.down'))));
  const first = places[0]!;
  t.same(first.divided, ['layers.0.attn_norm', 'layers.0.attn_norm.bias'], 'gains and biases of the norm');
  t.ok(places.some(({ name }) => name === 'layers.0.attn.v'));
  t.notOk(
    places.some(({ name }) => name === 'head_norm'),
    'its head is the embedding',
  );
});

t.test('not into what a neuron field reads besides', async (t) => {
  const names = namesOf(graphOf(t, 'crystal'));
  t.same(names, ['layers.0.attn_norm', 'layers.0.attn.v', 'layers.0.mlp_norm']);
});

t.test('whatever else reads a channel or uses a tensor closes the place', async (t) => {
  const graph = graphOf(t, 'llama without');
  const open = (changed: Graph) => namesOf(changed).filter((name) => name.startsWith('layers.0.'));
  const all = open(graph);
  const withLayer = (ops: readonly Op[]): Graph => ({ ...graph, layers: [ops, ...graph.layers.slice(1)] });
  const layer = graph.layers[0]!;
  const at = layer.findIndex(({ name }) => name === 'attn_in');
  const reader: Op = { kind: 'add', name: 'extra', input: 'n', output: 'y', range: 'residual' };
  const read = withLayer([...layer.slice(0, at), reader, ...layer.slice(at)]);
  t.same(
    open(read),
    all.filter((name) => name !== 'layers.0.attn_norm'),
  );

  const heads = withLayer(layer.map((op) => (op.name === 'attn_norm' ? ({ ...op, heads: 4 } as Op) : op)));
  t.same(
    open(heads),
    all.filter((name) => name !== 'layers.0.attn_norm'),
    'one gain for several channels',
  );

  const shared = layer.map((op) =>
    op.kind === 'rmsnorm' && op.name === 'mlp_norm' ? { ...op, gains: 'layers.0.attn_norm' } : op,
  );
  t.same(open(withLayer(shared)), ['layers.0.attn.v', 'layers.0.mlp.up'], 'two norms of the same gains');

  const norm = graph.vectors.find(({ name }) => name === 'layers.0.attn_norm')!;
  const same = graph.vectors.map((one) =>
    one.name === 'layers.0.mlp_norm' ? { ...one, tensor: norm.tensor } : one,
  );
  t.same(open({ ...graph, vectors: same }), ['layers.0.attn.v', 'layers.0.mlp.up'], 'two names of a tensor');
});
