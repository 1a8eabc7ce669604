/** The arena, checked by running the ops on it: a buffer's bytes are its own from every write to the reads that follow. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import type { BufferInfo, Graph, Op } from '../../../codegen/graph/graph.js';
import { kernelSetOf } from '../../../codegen/layout/kernel-set.js';
import {
  type ArenaPlace,
  bufferBytes,
  int8Parts,
  type MemoryPlan,
  planMemory,
} from '../../../codegen/layout/memory-plan.js';
import { definitionOf } from '../../../codegen/ops/index.js';
import { root } from '../../templates/c-compiler.js';
import { llamaShapes, shapeCheckpoint } from '../graph/shape-checkpoint.js';

const overlap = (a: ArenaPlace, b: ArenaPlace) =>
  a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;

/** Runs a graph on the plan: three tokens' heads after the layers. Returns what goes wrong first, or null. */
function faultOf(graph: Graph, plan: MemoryPlan): string | null {
  const places = new Map(plan.activations.map((place) => [place.name, place]));
  const owner = new Map<number, string>(); // by 64-byte line
  const lines = (name: string) => {
    const { offset, bytes } = places.get(name)!;
    return Array.from({ length: bytes / 64 }, (_, i) => offset / 64 + i);
  };
  const run = (op: Op): string | null => {
    const { reads, writes } = definitionOf(op.kind);
    const touched = [...new Set([...reads(op), ...writes(op)])];
    for (const a of touched)
      for (const b of touched)
        if (a < b && overlap(places.get(a)!, places.get(b)!))
          return `${op.name} uses ${a} and ${b} in one place`;
    for (const name of reads(op)) {
      const lost = lines(name).find((line) => owner.get(line) !== name);
      if (lost !== undefined) return `${op.name} reads ${name}, which ${owner.get(lost)} overwrote`;
    }
    for (const name of writes(op)) for (const line of lines(name)) owner.set(line, name);
    return null;
  };
  const sections = [graph.prologue, ...graph.layers, graph.epilogue, graph.epilogue, graph.epilogue];
  for (const op of sections.flat()) {
    const fault = run(op);
    if (fault !== null) return fault;
  }
  return null;
}

/** What must hold of every plan beside that. */
function staticFaultOf(graph: Graph, plan: MemoryPlan): string | null {
  const always = plan.activations.filter((place) => !graph.buffers.has(place.name));
  const apart = [plan.state, ...plan.cache, ...always];
  const all = [plan.state, ...plan.cache, ...plan.activations];
  for (const a of apart)
    for (const b of all) if (a !== b && overlap(a, b)) return `${a.name} and ${b.name} overlap`;
  for (const place of all) {
    if (place.offset % 64 !== 0 || place.bytes % 64 !== 0) return `${place.name} is not on lines of 64 bytes`;
    if (place.offset + place.bytes > plan.arenaBytes) return `${place.name} ends beyond the arena`;
    const buffer = graph.buffers.get(place.name);
    const tokens = place.name === graph.logits ? 1 : plan.batch;
    if (buffer !== undefined && place.bytes < bufferBytes(buffer, tokens, kernelSetOf('portable')))
      return `${place.name} is too small`;
  }
  const parts = plan.stateBytes + plan.cacheBytes + plan.activationBytes;
  return parts === plan.arenaBytes ? null : `parts add up to ${parts} of ${plan.arenaBytes} bytes`;
}

function check(t: Test, name: string, graph: Graph, batches = [1, 7, 64]): void {
  for (const batch of batches) {
    const plan = planMemory(graph, batch, kernelSetOf('portable'));
    t.equal(faultOf(graph, plan) ?? staticFaultOf(graph, plan), null, `${name}, batch ${batch}`);
  }
}

t.test('shapes of the Llama family', async (t) => {
  for (const [name, config] of Object.entries(llamaShapes))
    check(t, name, buildGraph(shapeCheckpoint(config), 40));
});

const variants = join(root, '..', 'shared', 'models', 'variants');
t.test('variants', { skip: !existsSync(variants) && 'no ../shared' }, async (t) => {
  for (const name of readdirSync(variants).filter((name) => !name.startsWith('gpt2'))) {
    const checkpoint = openCheckpoint(join(variants, name));
    check(t, name, buildGraph(checkpoint, checkpoint.config.contextLength));
    checkpoint.close();
  }
});

/** A random graph: ops over a few buffers, each of which is written before it is read. */
const randomGraph = fc
  .record({
    widths: fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 3, maxLength: 9 }),
    ops: fc.array(fc.tuple(fc.nat(100), fc.nat(100), fc.nat(100)), { minLength: 4, maxLength: 25 }),
    cuts: fc.tuple(fc.nat(100), fc.nat(100)),
    batch: fc.integer({ min: 1, max: 9 }),
  })
  .map(({ widths, ops, cuts, batch }) => ({ graph: assemble(widths, ops, cuts), batch }));

function assemble(widths: number[], choices: [number, number, number][], cuts: [number, number]): Graph {
  const buffers = widths.map(
    (width, i): BufferInfo => ({ name: `b${i}`, width, kind: i % 3 === 2 ? 'int8' : 'int32' }),
  );
  const written: string[] = [];
  const ops = choices.map(([first, second, third], i): Op => {
    const output = `b${third % buffers.length}`;
    const [gate, up] = [first, second].map((n) => written[n % written.length]!);
    const op: Op =
      written.length === 0
        ? { kind: 'embed', name: `op${i}`, index: 'token', matrix: '', output, range: '' }
        : gate === output || up === output
          ? { kind: 'add', name: `op${i}`, input: gate === output ? up! : gate!, output, range: '' }
          : { kind: 'swiglu', name: `op${i}`, gate: gate!, up: up!, output, range: '' };
    if (!written.includes(output)) written.push(output);
    return op;
  });
  const [a, b] = cuts.map((cut) => 1 + (cut % (ops.length - 2))).sort((x, y) => x - y);
  const layer = ops.slice(a, Math.max(a! + 1, b!));
  return {
    ...buildGraph(shapeCheckpoint({}), 8),
    buffers: new Map(buffers.map((buffer) => [buffer.name, buffer])),
    prologue: ops.slice(0, a),
    layers: [layer, layer, layer],
    epilogue: ops.slice(Math.max(a! + 1, b!)),
    logits: written.at(-1)!,
  };
}

t.test('random graphs', async () => {
  fc.assert(
    fc.property(randomGraph, ({ graph, batch }) => {
      const plan = planMemory(graph, batch, kernelSetOf('portable'));
      const fault = faultOf(graph, plan) ?? staticFaultOf(graph, plan);
      if (fault !== null) throw new Error(fault);
    }),
    { numRuns: 2000, seed: 7 },
  );
});

t.test('lives that do not meet share memory', async (t) => {
  const graph = buildGraph(shapeCheckpoint({}), 40);
  const plan = planMemory(graph, 16, kernelSetOf('portable'));
  const buffers = plan.activations.filter((place) => graph.buffers.has(place.name));
  const separate = buffers.reduce((sum, place) => sum + place.bytes, 0);
  const end = Math.max(...buffers.map((place) => place.offset + place.bytes));
  const start = Math.min(...buffers.map((place) => place.offset));
  t.ok(end - start < 0.75 * separate, `${end - start} bytes instead of ${separate}`);
});

t.test('sizes are those that the C code reckons with', async (t) => {
  t.strictSame(
    int8Parts(65, 3, 0),
    { values: 3 * 128, prepared: 0, scale: 64 },
    'EM_Q8_STRIDE, EM_PREPARED_BYTES, em_token_scale',
  );
  t.strictSame(int8Parts(512, 9, 64), { values: 9 * 512, prepared: 576, scale: 128 });
  const plan = planMemory(buildGraph(shapeCheckpoint({}), 40), 4, kernelSetOf('portable'));
  const bytes = Object.fromEntries(
    [...plan.cache, ...plan.activations].map((place) => [place.name, place.bytes]),
  );
  t.match(bytes, {
    keys: 2 * 2 * 40 * 16,
    key_max: 2 * 2 * 40 * 4,
    scores: 4 * 40 * 4,
    order: 1088,
    x: 4 * 64 * 4,
    logits: 1088,
  });
});
