/** Scores the logits of em-run alone: how likely they make the text, for a checkpoint whose likelihoods are known already. */
import { exponential } from './exponential.js';
import type { ScoredWindows } from './window-scorer.js';

/** Negative log-likelihoods (nats) of the positions of one window, in the order of the text. */
export interface WindowLikelihood {
  /** Index of the window in the text. */
  readonly window: number;
  readonly nll: Float64Array;
}

export class LikelihoodScorer {
  readonly #found: WindowLikelihood[];

  constructor(readonly windows: ScoredWindows) {
    const { ids, window, firstWindow } = windows;
    this.#found = Array.from({ length: ids.length / window }, (_, w) => ({
      window: firstWindow + w,
      nll: new Float64Array(window - 1),
    }));
  }

  /** Takes the integer logits of position `at`, counted through all windows. */
  add(at: number, values: Int32Array): void {
    const { ids, window, logitsFrac } = this.windows;
    const position = at % window;
    if (position === window - 1) return; // what follows the last id is not in the window
    this.#found[Math.floor(at / window)]!.nll[position] = nllOf(values, 2 ** -logitsFrac, ids[at + 1]!);
  }

  data(): readonly WindowLikelihood[] {
    return this.#found;
  }
}

/** -ln softmax(values x scale)[target] */
function nllOf(values: Int32Array, scale: number, target: number): number {
  const maximum = values.reduce((most, value) => (value > most ? value : most));
  const sum = values.reduce((total, value) => total + exponential((value - maximum) * scale), 0);
  return Math.log(sum) - (values[target]! - maximum) * scale;
}
