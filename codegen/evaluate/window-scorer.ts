/** Compares the logits of em-run, position by position as they come, with those of a float model on the same windows. */
import type { FloatEvaluator } from '../calibrate/float-evaluator.js';
import { Validation, type ValidationData } from './statistics.js';

/** Positions that the float model computes at a time: bounds what its logits take to this many vocabularies. */
const CHUNK = 64;

export interface ScoredWindows {
  /** Ids of the windows, one after another. */
  readonly ids: Int32Array;
  /** Ids in a window. */
  readonly window: number;
  /** Index in the text of the window that comes first in `ids`. */
  readonly firstWindow: number;
  /** Bits after the point of the integer logits. */
  readonly logitsFrac: number;
}

export class WindowScorer {
  readonly #validation = new Validation();
  #logits: Float32Array = new Float32Array(0);

  constructor(
    readonly windows: ScoredWindows,
    readonly reference: FloatEvaluator,
  ) {}

  /** Takes the integer logits of position `at`, counted through all windows. Positions come in order. */
  add(at: number, values: Int32Array): void {
    const { ids, window, firstWindow, logitsFrac } = this.windows;
    const position = at % window;
    if (position % CHUNK === 0) this.#evaluate(at, Math.min(CHUNK, window - position));
    if (position === window - 1) return; // what follows the last id is not in the window
    const vocabSize = values.length;
    const start = (position % CHUNK) * vocabSize;
    this.#validation.add(
      firstWindow + Math.floor(at / window),
      this.#logits.subarray(start, start + vocabSize),
      { values, scale: 2 ** -logitsFrac },
      ids[at + 1]!,
    );
  }

  /** Float logits of `count` positions from `at` on. */
  #evaluate(at: number, count: number): void {
    if (at % this.windows.window === 0) this.reference.reset();
    this.#logits = this.reference.run([...this.windows.ids.subarray(at, at + count)]);
  }

  data(): ValidationData {
    return this.#validation.data();
  }
}
