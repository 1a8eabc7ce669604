import t from 'tap';
import { buildGraph } from '../../../codegen/graph/build.js';
import { allOps, type Graph } from '../../../codegen/graph/graph.js';
import { queryGain } from '../../../codegen/graph/llama.js';
import { shapeCheckpoint } from './shape-checkpoint.js';

const kinds = (graph: Graph) => graph.layers[0]!.map((op) => `${op.kind} ${op.name}`);
const opOf = (graph: Graph, name: string, layer = 0) => graph.layers[layer]!.find((op) => op.name === name)!;

t.test('ops of a plain layer', async (t) => {
  const graph = buildGraph(shapeCheckpoint({}), 32);
  t.strictSame(kinds(graph), [
    'rmsnorm attn_norm',
    'quantize attn_in',
    'linear q',
    'linear k',
    'linear v',
    'rope q_rope',
    'rope k_rope',
    'attention attn',
    'quantize o_in',
    'linear o',
    'add attn_add',
    'rmsnorm mlp_norm',
    'quantize mlp_in',
    'linear gate',
    'linear up',
    'swiglu act',
    'quantize down_in',
    'linear down',
    'add mlp_add',
  ]);
  t.equal([...allOps(graph)].length, 1 + 2 * 19 + 3);
  t.match(opOf(graph, 'q'), { gain: queryGain(16) });
  t.equal(queryGain(16), Math.log2(Math.E) / (127 * 4));
  t.match(opOf(graph, 'attn'), { window: null, heads: 4, kvHeads: 2 });
  t.strictSame(
    graph.matrices.map((m) => m.name),
    [
      'embed',
      ...[0, 1].flatMap((l) =>
        ['q', 'k', 'v', 'o']
          .map((m) => `layers.${l}.attn.${m}`)
          .concat(['gate', 'up', 'down'].map((m) => `layers.${l}.mlp.${m}`)),
      ),
      'head',
    ],
  );
});

t.test('q/k norms take over the scale of the query', async (t) => {
  const graph = buildGraph(shapeCheckpoint({ qkNorm: true }), 32);
  t.strictSame(kinds(graph).slice(4, 8), ['linear v', 'rmsnorm q_norm', 'rmsnorm k_norm', 'rope q_rope']);
  t.match(opOf(graph, 'q'), { gain: 1 });
  t.match(opOf(graph, 'q_norm', 1), {
    gain: queryGain(16),
    heads: 4,
    gains: 'layers.1.attn.q_norm',
    range: 'layers.1.q_norm',
  });
  t.match(opOf(graph, 'k_norm'), { gain: 1, heads: 2 });
});

t.test('biases are used where the checkpoint has them', async (t) => {
  const biases = ['model.layers.1.self_attn.k_proj.bias', 'model.layers.0.mlp.up_proj.bias', 'lm_head.bias'];
  const graph = buildGraph(shapeCheckpoint({}, biases), 32);
  t.match(opOf(graph, 'k', 1), { bias: 'layers.1.attn.k.bias' });
  t.match(opOf(graph, 'k', 0), { bias: null });
  t.match(opOf(graph, 'up', 0), { bias: 'layers.0.mlp.up.bias' });
  t.match(graph.epilogue[2], { bias: 'head.bias' });
  const vector = graph.vectors.find((v) => v.name === 'layers.1.attn.k.bias');
  t.strictSame(vector, { name: 'layers.1.attn.k.bias', tensor: biases[0], length: 32 });
});

t.test('tied embedding and window', async (t) => {
  const graph = buildGraph(shapeCheckpoint({ tiedEmbedding: true, slidingWindow: 9 }, ['lm_head.bias']), 32);
  t.strictSame(graph.matrices[0]!.aliases, ['head']);
  t.notOk(graph.matrices.some((m) => m.name === 'head'));
  t.match(graph.epilogue[2], { matrix: 'embed', bias: null });
  t.match(opOf(graph, 'attn'), { window: 9 });
});
