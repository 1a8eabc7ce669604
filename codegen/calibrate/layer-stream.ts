/** Evaluation layer by layer: many windows of a text wait before the same layer, so that it can be worked on and run again. */
import type { Graph } from '../graph/graph.js';
import { definitionOf } from '../ops/index.js';
import { breathe } from '../progress.js';
import { FloatEvaluator, type FloatWeights } from './float-evaluator.js';
import type { LinearAlgebra } from './linear-algebra.js';

/** Sees the inputs float32[tokens x columns] of a matrix. */
export type InputObserver = (matrix: string, x: Float32Array, tokens: number) => void;

/**
 * Names of the buffers that hold what is still needed before op `first` of a layer, or of the epilogue: they are read before they are
 * written there, or by what comes after it.
 */
export function liveBuffers(graph: Graph, section: Section = 0, first = 0): string[] {
  const after = section === 'epilogue' ? [] : [...(graph.layers[0] ?? []), ...graph.epilogue];
  const written = new Set<string>();
  const live = new Set<string>();
  for (const op of [...opsOf(graph, section).slice(first), ...after]) {
    const definition = definitionOf(op.kind);
    for (const name of definition.reads(op)) if (!written.has(name)) live.add(name);
    for (const name of definition.writes(op)) written.add(name);
  }
  return [...live];
}

/** The number of a layer, or the part after the last one. */
export type Section = number | 'epilogue';

const opsOf = (graph: Graph, section: Section) =>
  section === 'epilogue' ? graph.epilogue : (graph.layers[section] ?? []);

interface Window {
  readonly ids: readonly number[];
  /** float32[ids x width] of the buffers that are live where the window waits. */
  live: ReadonlyMap<string, Float32Array>;
}

export class LayerStream {
  readonly #evaluator: FloatEvaluator;
  readonly #windows: readonly Window[];
  #observer: InputObserver | null = null;

  /** Windows are at most as long as the context of the graph. Weights may change between calls. */
  constructor(
    readonly graph: Graph,
    weights: FloatWeights,
    algebra: LinearAlgebra,
    windows: readonly (readonly number[])[],
  ) {
    this.#evaluator = new FloatEvaluator(graph, weights, algebra, {
      input: (matrix, x, tokens) => this.#observer?.(matrix, x, tokens),
    });
    this.#windows = windows.map((ids) => ({ ids, live: new Map() }));
  }

  /** Embeds all windows: they wait before layer 0. */
  async begin(signal: AbortSignal): Promise<void> {
    for (const window of this.#windows) {
      await breathe(signal);
      this.#evaluator.prologue(window.ids);
      this.#keep(window, liveBuffers(this.graph));
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
      if (advance) this.#keep(window, liveBuffers(this.graph));
    }
    this.#observer = null;
  }

  /** Runs ops [first, end) of a section over all windows, which wait before op `first` and then before op `end`. */
  async ops(section: Section, first: number, end: number, signal: AbortSignal): Promise<void> {
    const live = liveBuffers(this.graph, section, end);
    for (const window of this.#windows) {
      await breathe(signal);
      this.#restore(window);
      if (section === 'epilogue') this.#evaluator.epilogue(window.ids, first, end);
      else this.#evaluator.layer(section, window.ids, first, end);
      this.#keep(window, live);
    }
  }

  /** float32[tokens x width] of a buffer that is live where the windows wait, window after window. */
  *waiting(buffer: string): Generator<{ readonly values: Float32Array; readonly tokens: number }> {
    for (const { ids, live } of this.#windows) yield { values: live.get(buffer)!, tokens: ids.length };
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

  /** Where all windows are, to come back to with `rewind`. */
  save(): readonly ReadonlyMap<string, Float32Array>[] {
    return this.#windows.map(({ live }) => live);
  }

  rewind(saved: readonly ReadonlyMap<string, Float32Array>[]): void {
    for (const [i, window] of this.#windows.entries()) window.live = saved[i]!;
  }

  #keep(window: Window, names: readonly string[]): void {
    const copy = (name: string) => this.#evaluator.buffer(name, window.ids.length).slice();
    window.live = new Map(names.map((name) => [name, copy(name)]));
  }

  #restore({ ids, live }: Window): void {
    for (const [name, values] of live) this.#evaluator.buffer(name, ids.length).set(values);
  }
}
