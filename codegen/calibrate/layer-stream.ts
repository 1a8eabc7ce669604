/** Evaluation layer by layer: many windows of a text wait before the same layer, so that it can be worked on and run again. */
import { bufferOf, type Graph } from '../graph/graph.js';
import { definitionOf } from '../ops/index.js';
import { breathe } from '../progress.js';
import { FloatEvaluator, type FloatWeights } from './float-evaluator.js';
import type { LinearAlgebra } from './linear-algebra.js';

/** Sees the inputs float32[tokens x columns] of a matrix. */
export type InputObserver = (matrix: string, x: Float32Array, tokens: number) => void;

/** Names of the buffers that a layer reads before it writes them: what one layer leaves to the next. */
export function liveBuffers(graph: Graph): string[] {
  const written = new Set<string>();
  const live = new Set<string>();
  for (const op of [...(graph.layers[0] ?? []), ...graph.epilogue]) {
    const definition = definitionOf(op.kind);
    for (const name of definition.reads(op)) if (!written.has(name)) live.add(name);
    for (const name of definition.writes(op)) written.add(name);
  }
  return [...live].filter((name) => bufferOf(graph, name).kind === 'int32');
}

export class LayerStream {
  readonly #evaluator: FloatEvaluator;
  readonly #live: readonly string[];
  readonly #windows: readonly { readonly ids: readonly number[]; readonly live: Float32Array[] }[];
  #observer: InputObserver | null = null;

  /** Windows are at most as long as the context of the graph. Weights may change between calls. */
  constructor(
    readonly graph: Graph,
    weights: FloatWeights,
    algebra: LinearAlgebra,
    windows: readonly (readonly number[])[],
  ) {
    this.#live = liveBuffers(graph);
    this.#evaluator = new FloatEvaluator(graph, weights, algebra, {
      input: (matrix, x, tokens) => this.#observer?.(matrix, x, tokens),
    });
    this.#windows = windows.map((ids) => ({ ids, live: [] }));
  }

  /** Embeds all windows: they wait before layer 0. */
  async begin(signal: AbortSignal): Promise<void> {
    for (const window of this.#windows) {
      await breathe(signal);
      this.#evaluator.prologue(window.ids);
      this.#keep(window);
    }
  }

  /** Runs a layer over all windows. They wait before the next one if `advance`, else where they were. */
  async layer(
    layer: number,
    observer: InputObserver | null,
    advance: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    this.#observer = observer;
    for (const window of this.#windows) {
      await breathe(signal);
      this.#restore(window);
      this.#evaluator.layer(layer, window.ids);
      if (advance) this.#keep(window);
    }
    this.#observer = null;
  }

  /** Runs the head over all windows; `onLogits` sees float32[ids x vocabSize] of each, in an array that is used again. */
  async epilogue(
    observer: InputObserver | null,
    onLogits: (window: number, logits: Float32Array) => void,
    signal: AbortSignal,
  ): Promise<void> {
    this.#observer = observer;
    for (const [i, window] of this.#windows.entries()) {
      await breathe(signal);
      this.#restore(window);
      this.#evaluator.epilogue(window.ids);
      onLogits(i, this.#evaluator.buffer(this.graph.logits, window.ids.length));
    }
    this.#observer = null;
  }

  /** A copy of where all windows are, to come back to with `rewind`. */
  save(): readonly (readonly Float32Array[])[] {
    return this.#windows.map(({ live }) => live.map((values) => values.slice()));
  }

  rewind(saved: readonly (readonly Float32Array[])[]): void {
    for (const [i, window] of this.#windows.entries()) {
      window.live.splice(0, window.live.length, ...saved[i]!.map((values) => values.slice()));
    }
  }

  #keep(window: { readonly ids: readonly number[]; readonly live: Float32Array[] }): void {
    for (const [i, name] of this.#live.entries()) {
      window.live[i] = this.#evaluator.buffer(name, window.ids.length).slice();
    }
  }

  #restore(window: { readonly ids: readonly number[]; readonly live: Float32Array[] }): void {
    for (const [i, name] of this.#live.entries()) {
      this.#evaluator.buffer(name, window.ids.length).set(window.live[i]!);
    }
  }
}
