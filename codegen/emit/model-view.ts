/** Turns an integer model, its memory plan and its blob layout into the views of the model-shaped templates. */
import { bufferOf, type Graph } from '../graph/graph.js';
import type { BlobLayout } from '../layout/blob.js';
import type { ArenaPlace, MemoryPlan } from '../layout/memory-plan.js';
import type { IntegerModel } from '../lower/lower.js';
import { definitionOf, type Step } from '../ops/index.js';
import type { BlobPlaces, ConstantView } from '../ops/op.js';
import { formats } from '../quantize/format.js';
import { render, type View } from './render.js';

export interface EmissionInput {
  readonly modelName: string;
  readonly targetName: string;
  readonly planName: string;
  readonly model: IntegerModel;
  readonly memory: MemoryPlan;
  readonly blob: BlobLayout;
  readonly bosId: number | null;
  readonly eosIds: readonly number[];
  readonly hasTokenizer: boolean;
}

/** C text that is safe inside a string literal and a comment. */
export function cText(text: string): string {
  return text.replace(/[^\x20-\x7e]|["\\?]|\*\/|\/\*/g, '_');
}

function sectionOf(blob: BlobLayout, name: string) {
  const entry = blob.entries.find((e) => e.name === name);
  if (entry === undefined) throw new Error(`blob has no section ${name}`);
  return entry;
}

function placesOf(blob: BlobLayout): BlobPlaces {
  return { offset: (name) => `${sectionOf(blob, name).offset}u` };
}

export function headerView(input: EmissionInput): View {
  const { model, memory, blob } = input;
  const codes = new Set([...model.matrices.values()].map((m) => formats[m.format].code));
  const mask = [...codes].reduce((sum, code) => sum | (1 << code), 0);
  return {
    model: cText(input.modelName),
    target: input.targetName,
    plan: cText(input.planName),
    vocab: model.graph.vocabSize,
    context: model.graph.context,
    headDim: model.graph.cache.headDim,
    batch: memory.batch,
    logitsFrac: model.logitsFrac,
    bosId: input.bosId ?? -1,
    // An empty list is no C11, and compilers warn of loops over none: -1 stands for no token.
    endCount: Math.max(1, input.eosIds.length),
    endIds: `{ ${input.eosIds.length > 0 ? input.eosIds.join(', ') : '-1'} }`,
    formats: `0x${mask.toString(16)}`,
    arenaBytes: memory.arenaBytes,
    stateBytes: memory.stateBytes,
    cacheBytes: memory.cacheBytes,
    blobBytes: blob.blobBytes,
    blobEntries: blob.entries.length,
    tableCrc: `0x${blob.tableCrc32c.toString(16).padStart(8, '0')}`,
    hasTokenizer: input.hasTokenizer ? 1 : 0,
  };
}

const arenaMacro = (name: string) => `EM_AT_${name.toUpperCase()}`;

export function memoryView(input: EmissionInput): View {
  const { model, memory, blob } = input;
  const { graph } = model;
  const counts = [graph.prologue.length, graph.layers[0]!.length, graph.epilogue.length];
  const layerEnd = counts[0]! + counts[1]!;
  const places = [...memory.cache, ...memory.activations];
  const width = Math.max(...places.map((p) => arenaMacro(p.name).length));
  return {
    arenaBytes: memory.arenaBytes,
    opSpans: `prologue (0..${counts[0]! - 1}), layer (..${layerEnd - 1}) and head (..${layerEnd + counts[2]! - 1})`,
    arena: places.map((place: ArenaPlace) => ({
      padded: arenaMacro(place.name).padEnd(width),
      offset: place.offset,
      what: place.what,
      span: place.live[1] > 1e6 ? '' : `, ops ${place.live[0]}..${place.live[1]}`,
    })),
    hasTables: graph.rope !== null || input.hasTokenizer,
    hasRope: graph.rope !== null,
    ropeOffset: graph.rope === null ? 0 : sectionOf(blob, 'rope').offset,
    context: graph.context,
    cachePositions: memory.cachePositions,
    headDim: graph.rope?.headDim ?? 0,
    hasTokenizer: input.hasTokenizer,
    tokenizerOffset: input.hasTokenizer ? sectionOf(blob, 'tokenizer').offset : 0,
    tokenizerBytes: input.hasTokenizer ? sectionOf(blob, 'tokenizer').bytes : 0,
  };
}

/** Local pointers to the buffers that a list of steps uses. Buffers written before the head are offset by its token. */
function declarations(graph: Graph, steps: readonly Step[], writtenBefore: ReadonlySet<string>): View[] {
  const names = new Set<string>();
  for (const { kind, op } of steps) {
    const { reads, writes } = definitionOf(kind);
    for (const name of [...reads(op), ...writes(op)]) names.add(name);
  }
  const firstWrite = (name: string) =>
    steps.findIndex(({ kind, op }) => definitionOf(kind).writes(op).includes(name));
  const firstRead = (name: string) =>
    steps.findIndex(({ kind, op }) => definitionOf(kind).reads(op).includes(name));
  return [...names].map((name) => {
    const { kind, width } = bufferOf(graph, name);
    const at = arenaMacro(name);
    if (kind === 'int8')
      return { declaration: `const struct em_q8 ${name} = em_q8_at(m->arena + ${at}, ${width});` };
    const carried =
      writtenBefore.has(name) &&
      firstRead(name) >= 0 &&
      (firstWrite(name) < 0 || firstRead(name) <= firstWrite(name));
    const offset = carried ? ` + token * ${width}u` : '';
    return { declaration: `em_i32 *const ${name} = em_int32_at(m, ${at})${offset};` };
  });
}

/** The statement of a step and, where it leaves int32 values, its report to the trace. */
function statementOf(
  step: Step,
  graph: Graph,
  places: BlobPlaces,
  constants: string,
  trace: { layer: string; op: number; first: string },
): View {
  const definition = definitionOf(step.kind);
  const text = render(`ops/${step.kind}.c.hbs`, { ...definition.view(step, graph, places), constants });
  const traces = definition
    .writes(step.op)
    .filter((name) => bufferOf(graph, name).kind === 'int32')
    .map(
      (name) =>
        `    em_trace(m, ${trace.layer}, ${trace.op}, ${name}, ${bufferOf(graph, name).width}, ${trace.first}, tokens);`,
    );
  return { statement: [text.trimEnd(), ...traces].join('\n') };
}

/** Columns of emitted C. */
const LINE_WIDTH = 120;

/** `<head>{ .field = value, ... }<tail>`, its fields wrapped and aligned under the first. */
function initializer(head: string, constants: ConstantView, tail: string): string {
  const indent = ' '.repeat(head.length + 2);
  const lines: string[] = [];
  let line = `${head}{`;
  constants.fields.forEach(({ name, value }, i) => {
    const item = ` .${name} = ${value}${i + 1 < constants.fields.length ? ',' : ` }${tail}`}`;
    if (line.length + item.length > LINE_WIDTH) {
      lines.push(line);
      line = indent + item.trimStart();
    } else {
      line += item;
    }
  });
  return [...lines, line].join('\n');
}

function layerTable(model: IntegerModel, places: BlobPlaces): { fields: View[]; layers: View[] } {
  const constantsOf = (step: Step) => definitionOf(step.kind).constants(step, places);
  const fields = model.layers[0]!.flatMap((step) => {
    const constants = constantsOf(step);
    return constants === null ? [] : [{ type: constants.type, name: step.op.name }];
  });
  const layers = model.layers.map((steps, index) => ({
    index,
    constants: steps.flatMap((step) => {
      const constants = constantsOf(step);
      if (constants === null) return [];
      return [{ line: initializer(`        .${step.op.name} = `, constants, `, /* ${constants.note} */`) }];
    }),
  }));
  return { fields, layers };
}

export function modelView(input: EmissionInput): View {
  const { model } = input;
  const { graph } = model;
  const places = placesOf(input.blob);
  const { fields, layers } = layerTable(model, places);
  const attention = graph.layers[0]!.find((op) => op.kind === 'attention');
  const singles = [...model.prologue, ...model.epilogue].flatMap((step) => {
    const constants = definitionOf(step.kind).constants(step, places);
    if (constants === null) return [];
    const head = `static const struct ${constants.type} em_${step.op.name}_op = `;
    return [{ line: `/* ${step.op.name}: ${constants.note} */\n${initializer(head, constants, ';')}` }];
  });
  const written = new Set(
    [...model.prologue, ...model.layers[0]!].flatMap(({ kind, op }) => [...definitionOf(kind).writes(op)]),
  );
  const outside = (steps: readonly Step[], base: number, first: string) =>
    steps.map((step, i) =>
      statementOf(step, graph, places, `em_${step.op.name}_op`, { layer: '-1', op: base + i, first }),
    );
  const { heads, kvHeads, headDim, window } =
    attention?.kind === 'attention' ? attention : { heads: 0, kvHeads: 0, headDim: 0, window: null };
  const shape = heads === 0 ? 'no attention' : `${heads} heads of ${headDim} (${kvHeads} KV)`;
  return {
    ...headerView(input),
    summary: `${graph.layerCount} ${graph.layerCount === 1 ? 'layer' : 'layers'}, width ${bufferOf(graph, 'x').width}, ${shape}, vocabulary ${graph.vocabSize}, context ${graph.context}.`,
    sizes: `Blob ${input.blob.blobBytes} bytes, arena ${input.memory.arenaBytes} bytes.`,
    layerCount: graph.layerCount,
    layerFields: fields,
    layers,
    singles,
    hasRope: graph.rope !== null,
    hasAttention: heads > 0,
    hasNeurons: graph.layers[0]!.some(({ kind }) => kind === 'neurons'),
    heads,
    kvHeads,
    headDim,
    headKeyBytes: input.memory.headKeyBytes,
    scoreInts: input.memory.scoreInts,
    window: window === null ? 'EM_CONTEXT' : `${window}`,
    layerBuffers: declarations(graph, model.layers[0]!, new Set()),
    layerOps: model.layers[0]!.map((step, i) =>
      statementOf(step, graph, places, `l->${step.op.name}`, { layer: '(em_i32)layer', op: i, first: '0' }),
    ),
    prologueBuffers: declarations(graph, model.prologue, new Set()),
    prologueOps: outside(model.prologue, 0, '0'),
    epilogueBuffers: declarations(graph, model.epilogue, written),
    epilogueOps: outside(model.epilogue, model.prologue.length, 'token'),
  };
}
