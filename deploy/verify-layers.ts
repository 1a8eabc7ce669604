/** verify --layers: the float model, the integer reference and what ran, op by op. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GoldenRun, Manifest } from '../codegen/bundle/manifest.js';
import { unwritable } from '../codegen/bundle/output-folder.js';
import { FloatEvaluator } from '../codegen/calibrate/float-evaluator.js';
import { createLinearAlgebra } from '../codegen/calibrate/linear-algebra.js';
import { EmbedError } from '../codegen/diagnostics/error.js';
import { IntegerEvaluator } from '../codegen/evaluate/integer-evaluator.js';
import {
  openReferenceSource,
  type ReferenceModel,
  readReference,
} from '../codegen/evaluate/reference-model.js';
import { bufferOf } from '../codegen/graph/graph.js';
import type { IntegerModel } from '../codegen/lower/lower.js';
import { definitionOf, type Step } from '../codegen/ops/index.js';
import { breathe, type StageContext } from '../codegen/progress.js';
import type { Place } from './machine.js';
import { runRunner } from './run-bundle.js';
import { TraceReader } from './trace-reader.js';

/** How far an op's output, and all that led to it, is from the float model, and whether what ran gave exactly it. */
export interface OpComparison {
  /** -1 outside the layers. */
  readonly layer: number;
  /** Index of the op in its section, as the manifest counts them. */
  readonly index: number;
  readonly kind: string;
  readonly name: string;
  /**
   * 10 log10 of the float values' energy over that of the integers' error, in dB, over all positions; null where either is zero.
   */
  readonly sqnrDb: number | null;
  /** Largest error of a value, in the units of the float model. */
  readonly maxAbsError: number;
  /** Whether what ran has exactly the integers of the reference at every position. */
  readonly identical: boolean;
}

/** The first value, in the order of execution, that what ran got wrong. */
export interface FirstDifference {
  readonly layer: number;
  readonly index: number;
  readonly name: string;
  readonly position: number;
  /** Index of the value in the op's output. */
  readonly element: number;
  readonly expected: number;
  readonly found: number;
}

export interface LayerReport {
  /** Positions compared. */
  readonly positions: number;
  /** In the order of execution. */
  readonly ops: readonly OpComparison[];
  readonly firstDifference: FirstDifference | null;
}

/** Positions of the first golden run that are compared at most: the trace of each holds every activation. */
const MAX_POSITIONS = 64;

/** An op that leaves int32 values, and what was seen of them so far. */
interface TracedOp {
  readonly layer: number;
  readonly index: number;
  readonly kind: string;
  readonly name: string;
  readonly width: number;
  /** Bits after the point of the values. */
  readonly frac: number;
  signal: number;
  noise: number;
  maxAbsError: number;
  identical: boolean;
}

/** The traced ops of one position in the order of execution, which all three evaluators share. */
function tracedOps(model: IntegerModel): TracedOp[] {
  const formats = new Map<string, number>();
  const traced: TracedOp[] = [];
  const walk = (steps: readonly Step[], layer: number, first: number) => {
    for (const [i, step] of steps.entries()) {
      for (const name of definitionOf(step.kind).writes(step.op)) {
        const { kind, width } = bufferOf(model.graph, name);
        if (kind !== 'int32') continue;
        if ('outFrac' in step) formats.set(name, step.outFrac);
        const op = { layer, index: first + i, kind: step.kind, name: step.op.name };
        const seen = { signal: 0, noise: 0, maxAbsError: 0, identical: true };
        traced.push({ ...op, width, frac: formats.get(name)!, ...seen });
      }
    }
  };
  walk(model.prologue, -1, 0);
  for (const [layer, steps] of model.layers.entries()) walk(steps, layer, 0);
  walk(model.epilogue, -1, model.prologue.length);
  return traced;
}

/**
 * Runs the positions of the first golden run with a trace and compares them. `modelPath`: the checkpoint, or null for the one the
 * manifest names. Throws EM2013, EM2014 (see readReference), EM3207 for a trace that is damaged, and what running throws.
 */
export async function verifyLayers(
  bundle: string,
  manifest: Manifest,
  golden: GoldenRun,
  options: { readonly mode: Place; readonly threads: number; readonly model: string | null },
  context: StageContext,
): Promise<LayerReport> {
  const source = openReferenceSource(manifest, options.model);
  const folder = temporaryFolder();
  try {
    const reference = await readReference(bundle, manifest, source, context);
    const trace = join(folder, 'trace');
    const request = tracedRequest(golden, options.threads, trace);
    await runRunner(bundle, manifest, request, options.mode, context.signal);
    return await compareOps(reference, request.ids, trace, context);
  } finally {
    source.checkpoint.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The run that leaves a trace of every op in the file `trace`. */
export function tracedRequest({ promptIds, tokenIds, sampling }: GoldenRun, threads: number, trace: string) {
  const ids = [...promptIds, ...tokenIds.slice(0, -1)].slice(0, MAX_POSITIONS);
  // Position by position, as the reference goes.
  return { prompt: null, ids, tokens: 0, sampling, threads, chunk: 1, trace };
}

function temporaryFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'embed-model-verify-'));
  } catch (cause) {
    throw unwritable(tmpdir(), cause);
  }
}

/** Lets the float model and the integer reference compute the positions while the trace is read along. */
async function compareOps(
  { graph, weights, model }: ReferenceModel,
  ids: readonly number[],
  trace: string,
  { progress, signal }: StageContext,
): Promise<LayerReport> {
  const reader = new TraceReader(trace);
  const comparison = new LayerComparison(tracedOps(model), reader);
  const float = new FloatEvaluator(graph, weights, createLinearAlgebra(), {
    trace: (_op, _layer, _index, values) => comparison.addFloat(values),
  });
  const integer = new IntegerEvaluator(model, (_step, _layer, _index, position, values) =>
    comparison.addInteger(position, values),
  );
  progress.begin('compare ops', ids.length, 'position');
  try {
    for (const id of ids) {
      await breathe(signal);
      float.run([id]);
      integer.decode(id);
      progress.advance(1);
    }
  } finally {
    reader.close();
  }
  const report = comparison.report(ids.length);
  progress.end(report.firstDifference === null ? 'all ops are identical' : 'OPS DIFFER');
  return report;
}

/** Gets the outputs of the ops of a position from the float model, then from the integer reference. */
class LayerComparison {
  #floats: Float32Array[] = [];
  #next = 0;
  #firstDifference: FirstDifference | null = null;

  constructor(
    readonly ops: readonly TracedOp[],
    readonly reader: TraceReader,
  ) {}

  addFloat(values: Float32Array): void {
    this.#floats.push(values.slice());
  }

  addInteger(position: number, values: Int32Array): void {
    const op = this.ops[this.#next]!;
    addError(op, this.#floats[this.#next]!, values);
    this.#compareTrace(op, position, values);
    if (++this.#next < this.ops.length) return;
    this.#next = 0;
    this.#floats = [];
  }

  report(positions: number): LayerReport {
    return { positions, ops: this.ops.map(describe), firstDifference: this.#firstDifference };
  }

  #compareTrace(op: TracedOp, position: number, expected: Int32Array): void {
    const { layer, index, name } = op;
    const found = this.reader.next(op.width);
    if (found === null || found.layer !== layer || found.op !== index || found.position !== position) {
      const what =
        found === null ? 'it ends' : `op ${found.op} of layer ${found.layer}, position ${found.position}`;
      const why = `${what}, where op ${index} (${name}) of layer ${layer}, position ${position} was to come`;
      throw new EmbedError('EM3207', { where: this.reader.path, why });
    }
    const element = expected.findIndex((value, i) => value !== found.values[i]);
    if (element < 0) return;
    op.identical = false;
    const values = { expected: expected[element]!, found: found.values[element]! };
    this.#firstDifference ??= { layer, index, name, position, element, ...values };
  }
}

function addError(op: TracedOp, float: Float32Array, integer: Int32Array): void {
  const unit = 2 ** -op.frac;
  for (let i = 0; i < op.width; i++) {
    const error = integer[i]! * unit - float[i]!;
    op.signal += float[i]! * float[i]!;
    op.noise += error * error;
    op.maxAbsError = Math.max(op.maxAbsError, Math.abs(error));
  }
}

function describe({ layer, index, kind, name, ...seen }: TracedOp): OpComparison {
  const { signal, noise, maxAbsError, identical } = seen;
  const sqnrDb = signal > 0 && noise > 0 ? 10 * Math.log10(signal / noise) : null;
  return { layer, index, kind, name, sqnrDb, maxAbsError, identical };
}
