/** A checkpoint with scales of channels and turns of rotary pairs folded into its weights. */
import type { Checkpoint, TensorInfo } from '../../checkpoint/checkpoint.js';
import type { DecoderConfig } from '../../checkpoint/config.js';
import type { Graph } from '../../graph/graph.js';
import { foldPlaces } from '../awq/fold-places.js';
import { type PairTurns, pairTurns, turnedRows } from '../rotary/pair-turns.js';
import { rotaryPlaces } from '../rotary/rotary-places.js';
import { type Folds, scaleOf } from './folds.js';

/** Factors of a tensor's rows, of a vector's values, and of a matrix's columns; what mixes its rows or values pair by pair. */
interface Factors {
  rows: Float64Array | null;
  columns: Float64Array | null;
  turns: PairTurns | null;
}

/**
 * Computes what `base` does, up to rounding: columns of the matrices behind a place are multiplied, what is before it is divided;
 * pairs of keys and queries are turned alike, scales of keys divide queries.
 * Weights that came as integers must not be folded: their grid would be lost.
 */
export class FoldedCheckpoint implements Checkpoint {
  readonly config: DecoderConfig;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #factors = new Map<string, Factors>();

  /** `graph` is one of `base`, for any context. */
  constructor(
    readonly base: Checkpoint,
    graph: Graph,
    folds: Folds,
  ) {
    this.config = base.config;
    this.tensors = base.tensors;
    const tensors = new Map([...graph.matrices, ...graph.vectors].map(({ name, tensor }) => [name, tensor]));
    for (const { name, divided, multiplied } of foldPlaces(graph)) {
      const steps = folds.get(name);
      if (steps === undefined) continue;
      const factors = Float64Array.from(steps, scaleOf);
      for (const one of divided)
        this.#factorsOf(tensors.get(one)!).rows = factors.map((factor) => 1 / factor);
      for (const one of multiplied) this.#factorsOf(tensors.get(one)!).columns = factors;
    }
    for (const place of rotaryPlaces(graph)) {
      const steps = folds.get(place.name);
      if (steps === undefined) continue;
      const turns = pairTurns(place, steps);
      for (const one of place.keys) this.#factorsOf(tensors.get(one)!).turns = turns.keys;
      for (const one of place.queries) this.#factorsOf(tensors.get(one)!).turns = turns.queries;
    }
  }

  #factorsOf(tensor: string): Factors {
    const found = this.#factors.get(tensor) ?? { rows: null, columns: null, turns: null };
    this.#factors.set(tensor, found);
    return found;
  }

  get path(): string {
    return this.base.path;
  }
  get format(): Checkpoint['format'] {
    return this.base.format;
  }
  get formatText(): string {
    return this.base.formatText;
  }
  get name(): string {
    return this.base.name;
  }
  get warnings(): readonly string[] {
    return this.base.warnings ?? [];
  }

  readRows(name: string, firstRow: number, rowCount: number): Float32Array {
    const factors = this.#factors.get(name);
    if (factors === undefined || rowCount === 0) return this.base.readRows(name, firstRow, rowCount);
    const { rows, columns, turns } = factors;
    const read = (first: number, count: number) => this.base.readRows(name, first, count);
    const values = turns === null ? read(firstRow, rowCount) : turnedRows(read, turns, firstRow, rowCount);
    if (rows === null && columns === null) return values;
    const width = values.length / rowCount;
    return values.map(
      (value, i) => value * (rows?.[firstRow + Math.floor(i / width)] ?? 1) * (columns?.[i % width] ?? 1),
    );
  }

  /** Of the checkpoint that is folded. */
  sha256(): string {
    return this.base.sha256();
  }

  close(): void {
    this.base.close();
  }
}
