/**
 * Where the channels of a linear op's input can be scaled without a change of what the model computes: the columns of the matrices
 * that read it are multiplied, and what makes these channels, linear in them, is divided.
 */
import { liveBuffers } from '../../calibrate/layer-stream.js';
import { allOps, type Graph, type Op } from '../../graph/graph.js';
import { definitionOf } from '../../ops/index.js';

/** One place that scales can be folded into. */
export interface FoldPlace {
  /** The vector of gains or the matrix whose outputs are divided, channel by channel. */
  readonly name: string;
  readonly channels: number;
  /** Vectors and matrices whose values or rows are divided: gains and biases of a norm; a projection and its bias. */
  readonly divided: readonly string[];
  /** Matrices whose columns are multiplied. */
  readonly multiplied: readonly string[];
}

/**
 * The places of a graph, layer by layer. There is one before the matrices behind a norm of whole vectors; before a down projection
 * behind silu(gate) * up, which is linear in up; before an output projection where every head has values of its own. There is none
 * behind GELU or a Hadamard transform, where heads share values, where anything else reads the channels or uses the tensors (a
 * tied head is the embedding), nor where a tensor has two names.
 */
export function foldPlaces(graph: Graph): FoldPlace[] {
  const finder = new PlaceFinder(graph);
  return [...graph.layers, graph.epilogue].flatMap((ops) => finder.places(ops));
}

class PlaceFinder {
  /** Ops that name a matrix or a vector, and names of a tensor. */
  readonly #uses = new Map<string, number>();
  /** Buffers that layers hand on. */
  readonly #live: ReadonlySet<string>;

  constructor(readonly graph: Graph) {
    const parameters = [...graph.matrices, ...graph.vectors];
    const known = new Map(parameters.map(({ name, tensor }) => [name, tensor]));
    for (const op of allOps(graph)) {
      const named = new Set(Object.values(op).filter((value) => known.has(value as string)));
      for (const name of named) this.#uses.set(name as string, (this.#uses.get(name as string) ?? 0) + 1);
    }
    for (const { name, tensor } of parameters) {
      if (parameters.some((other) => other.name !== name && other.tensor === tensor)) this.#uses.set(name, 2);
    }
    this.#live = new Set(liveBuffers(graph));
  }

  places(ops: readonly Op[]): FoldPlace[] {
    return ops.flatMap((op, at) => {
      if (op.kind !== 'quantize') return [];
      const multiplied = this.#consumers(ops, at, op.output);
      const from = lastWriter(ops, at, op.input);
      if (multiplied === null || from < 0 || !this.#readOnlyBy(ops, from, op.input, at)) return [];
      const divided = this.#producers(ops, from);
      if (divided === null || ![...divided, ...multiplied].every((name) => this.#uses.get(name) === 1))
        return [];
      const channels = this.graph.buffers.get(op.input)!.width;
      return [{ name: divided[0]!, channels, divided, multiplied }];
    });
  }

  /** Matrices that read what op `at` writes; null where something else reads it, too. */
  #consumers(ops: readonly Op[], at: number, buffer: string): string[] | null {
    const readers = this.#readers(ops, at, buffer);
    if (readers === null || readers.length === 0) return null;
    const matrices = readers.map((op) => (op.kind === 'linear' ? op.matrix : null));
    return matrices.includes(null) ? null : (matrices as string[]);
  }

  /** What op `from` is linear in, the tensor that names the place first; null where scales cannot pass it. */
  #producers(ops: readonly Op[], from: number): string[] | null {
    const op = ops[from]!;
    switch (op.kind) {
      case 'rmsnorm':
        return op.heads === 1 ? [op.gains] : null;
      case 'layernorm':
        return op.bias === null ? [op.gains] : [op.gains, op.bias];
      case 'swiglu':
        return op.up === op.gate ? null : this.#projection(ops, from, op.up);
      case 'attention':
        return op.heads === op.kvHeads ? this.#projection(ops, from, op.value) : null;
      default:
        return null;
    }
  }

  /** Matrix and bias of the linear op that makes a buffer for op `reader` alone. */
  #projection(ops: readonly Op[], reader: number, buffer: string): string[] | null {
    const from = lastWriter(ops, reader, buffer);
    const op = ops[from];
    if (op?.kind !== 'linear' || !this.#readOnlyBy(ops, from, buffer, reader)) return null;
    return op.bias === null ? [op.matrix] : [op.matrix, op.bias];
  }

  #readOnlyBy(ops: readonly Op[], from: number, buffer: string, reader: number): boolean {
    const readers = this.#readers(ops, from, buffer);
    return readers !== null && readers.length === 1 && readers[0] === ops[reader];
  }

  /** Ops that read what op `from` writes to a buffer; null where it is handed on to what comes after these ops. */
  #readers(ops: readonly Op[], from: number, buffer: string): Op[] | null {
    const readers: Op[] = [];
    for (const op of ops.slice(from + 1)) {
      const definition = definitionOf(op.kind);
      if (definition.reads(op).includes(buffer)) readers.push(op);
      if (definition.writes(op).includes(buffer)) return readers;
    }
    return this.#live.has(buffer) ? null : readers;
  }
}

/** The last op before op `at` that writes a buffer, or -1. */
function lastWriter(ops: readonly Op[], at: number, buffer: string): number {
  return ops.slice(0, at).findLastIndex((op) => definitionOf(op.kind).writes(op).includes(buffer));
}
