/** The integer meaning of a model: the reference that emitted C equals bit for bit. Readable, not fast. */
import type { TokenScale } from '../arithmetic/activation.js';
import { bufferOf } from '../graph/graph.js';
import type { IntegerModel } from '../lower/lower.js';
import { definitionOf, type Step } from '../ops/index.js';
import type { IntegerCache, IntegerState, QuantizedToken } from '../ops/op.js';

/** Called after each step that leaves int32 values: layer or -1, index in the section, the values. */
export type IntegerTrace = (
  step: Step,
  layer: number,
  index: number,
  position: number,
  values: Int32Array,
) => void;

/** For models without rotary positions: nothing reads it. */
const NO_ROPE = new Int16Array();

const UNSET: TokenScale = { mantissa: 0, shift: 0 };

export class IntegerEvaluator {
  readonly #int32 = new Map<string, Int32Array>();
  readonly #int8 = new Map<string, QuantizedToken>();
  readonly #cache: IntegerCache[];
  #position = 0;

  constructor(
    readonly model: IntegerModel,
    readonly trace?: IntegerTrace,
  ) {
    const { graph } = model;
    for (const { name, width, kind } of graph.buffers.values()) {
      if (kind === 'int32') this.#int32.set(name, new Int32Array(width));
      else this.#int8.set(name, { integers: new Int8Array(width), scale: UNSET });
    }
    const slots = graph.context * graph.cache.kvHeads;
    this.#cache = graph.layers.map(() => ({
      keys: new Int8Array(slots * graph.cache.headDim),
      values: new Int8Array(slots * graph.cache.headDim),
      keyMax: new Int32Array(slots),
      valueMax: new Int32Array(slots),
    }));
  }

  get position(): number {
    return this.#position;
  }

  /** Forgets the positions from `position` on. */
  rewind(position: number): void {
    this.#position = position;
  }

  /** Runs one token and returns its logits, int32[vocabSize] in Q(logitsFrac); reused by the next call. */
  decode(id: number): Int32Array {
    const { model } = this;
    if (this.#position >= model.graph.context) throw new RangeError('beyond the context');
    const state = this.#state(id);
    this.#section(model.prologue, state, -1, 0);
    for (const [layer, steps] of model.layers.entries()) this.#section(steps, state, layer, 0);
    this.#section(model.epilogue, state, -1, model.prologue.length);
    this.#position++;
    return state.buffer(model.graph.logits);
  }

  #section(steps: readonly Step[], state: IntegerState, layer: number, firstIndex: number): void {
    for (const [i, step] of steps.entries()) {
      const definition = definitionOf(step.kind);
      definition.integer(step, state);
      if (this.trace === undefined) continue;
      for (const name of definition.writes(step.op)) {
        if (bufferOf(state.graph, name).kind !== 'int32') continue;
        this.trace(step, layer, firstIndex + i, state.position, state.buffer(name));
      }
    }
  }

  #state(id: number): IntegerState {
    return {
      graph: this.model.graph,
      position: this.#position,
      id,
      rope: this.model.rope ?? NO_ROPE,
      cache: this.#cache,
      buffer: (name) => this.#int32.get(name)!,
      quantized: (name) => this.#int8.get(name)!,
    };
  }
}
