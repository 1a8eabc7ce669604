import t from 'tap';
import { buildGraph } from '../../../codegen/graph/build.js';
import type { BufferInfo, Graph, Op } from '../../../codegen/graph/graph.js';
import { verifyGraph } from '../../../codegen/graph/verify.js';
import { llamaShapes, shapeCheckpoint } from './shape-checkpoint.js';

const sound = buildGraph(shapeCheckpoint({}), 32);

const withBuffer = (name: string, changes: Partial<BufferInfo>): Graph => {
  const buffers = new Map(sound.buffers);
  buffers.set(name, { ...buffers.get(name)!, ...changes });
  return { ...sound, buffers };
};

/** The graph with op `name` of a layer changed, in that layer alone or in all. */
const withOp = (name: string, changes: object, layer?: number): Graph => ({
  ...sound,
  layers: sound.layers.map((ops, i) =>
    layer === undefined || i === layer
      ? ops.map((op) => (op.name === name ? ({ ...op, ...changes } as Op) : op))
      : ops,
  ),
});

const withMatrix = (name: string, changes: { rows?: number; columns?: number }): Graph => ({
  ...sound,
  matrices: sound.matrices.map((m) => (m.name === name ? { ...m, ...changes } : m)),
});

t.test('sound graphs pass', async (t) => {
  for (const [name, config] of Object.entries(llamaShapes))
    t.doesNotThrow(() => buildGraph(shapeCheckpoint(config), 32), name);
});

t.test('seeded mistakes are caught', async (t) => {
  const layer0 = sound.layers[0]!;
  const mistakes: [string, Graph, RegExp][] = [
    [
      'matrix with a column too many',
      withMatrix('layers.1.attn.q', { columns: 65 }),
      /linear q: layers\.1\.attn\.q has 65 columns, n8 64/,
    ],
    ['matrix with a row too few', withMatrix('layers.0.mlp.down', { rows: 63 }), /down has 63 rows, y 64/],
    ['matrix of another name', withOp('v', { matrix: 'layers.0.attn.w' }), /no matrix layers\.0\.attn\.w/],
    ['bias of another length', withOp('k', { bias: 'head_norm' }), /head_norm does not fit 32 rows/],
    ['bias that is not there', withOp('k', { bias: 'nothing' }), /nothing does not fit/],
    ['embedding of another width', withMatrix('embed', { columns: 32 }), /embed has 32 columns, x takes 64/],
    ['embedding of another vocabulary', { ...sound, vocabSize: 261 }, /embed has 260 rows, vocabulary 261/],
    ['embedding that is not there', { ...sound, matrices: sound.matrices.slice(1) }, /no matrix embed/],
    ['linear from int32', withOp('q', { input: 'n' }), /linear goes from int8 to int32/],
    ['quantize to int32', withOp('o_in', { output: 'att' }), /quantize goes from int32 to int8/],
    ['quantize to another width', withOp('o_in', { output: 'h8' }), /h8 is not as wide as att/],
    [
      'gains of another length',
      withOp('mlp_norm', { gains: 'nothing' }),
      /nothing has undefined gains for 64 values/,
    ],
    ['norm over another number of heads', withOp('mlp_norm', { heads: 2 }), /has 64 gains for 32 values/],
    ['norm to another width', withOp('mlp_norm', { output: 'h' }), /h is not as wide as x/],
    ['rope of another head', withOp('q_rope', { headDim: 8, heads: 8 }), /head of 8 values, rope of 16/],
    ['rope of too many heads', withOp('q_rope', { heads: 5 }), /q has 64 values, not 5 x 16/],
    [
      'cache of another shape',
      { ...sound, cache: { kvHeads: 4, headDim: 16 } },
      /shape of the KV cache differs/,
    ],
    [
      'heads that do not share evenly',
      withOp('attn', { heads: 3 }),
      /3 heads do not share 2 KV heads evenly/,
    ],
    ['heads that do not fill the query', withOp('attn', { heads: 2 }), /do not fit the heads/],
    ['activation of two widths', withOp('act', { gate: 'q' }), /widths differ: 64, 144, 144/],
    ['residual of two widths', withOp('attn_add', { input: 'h' }), /h and x differ in width/],
    [
      'a buffer read before it is written',
      withOp('q', { input: 'att8' }),
      /linear q reads att8 before it is written/,
    ],
    [
      'an op left out',
      {
        ...sound,
        layers: sound.layers.map((ops) =>
          ops
            .filter((op) => op.name !== 'mlp_in')
            .map((op) => (op.name === 'attn_in' ? ({ ...op, output: 'att8' } as Op) : op)),
        ),
      },
      /reads n8 before it is written/,
    ],
    ['no embedding', { ...sound, prologue: [] }, /attn_norm reads x before/],
    ['no head', { ...sound, epilogue: sound.epilogue.slice(0, 2) }, /logits is never written/],
    [
      'a layer with an op less',
      { ...sound, layers: [layer0, layer0.slice(0, -1)] },
      /layer 1 differs from layer 0/,
    ],
    ['a layer with other buffers', withOp('down', { output: 'n' }, 1), /layer 1 differs from layer 0/],
    ['a buffer that is not there', withOp('down_in', { output: 'h9' }), /graph has no buffer h9/],
    ['a buffer of another width', withBuffer('att', { width: 65 }), /do not fit the heads/],
  ];
  for (const [name, graph, message] of mistakes) t.throws(() => verifyGraph(graph), { message }, name);
});

t.test('bounds of the arithmetic', async (t) => {
  t.throws(() => buildGraph(shapeCheckpoint({ hiddenSize: 8194 }), 32), {
    message: /norm over 8194 values, at most 8192/,
  });
  t.doesNotThrow(() => buildGraph(shapeCheckpoint({ hiddenSize: 8192 }), 32));
  t.throws(() => buildGraph(shapeCheckpoint({ headDim: 258 }), 32), {
    message: /heads of 258 values, at most 256/,
  });
});
