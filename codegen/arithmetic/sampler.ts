/** The choice of the next token in integers (docs/arithmetic.md, section 7): what em_sample chooses, id for id. */
import { bitLengthBig, INT32_MAX, scale } from './fixed.js';
import { exp2Negative } from './functions.js';
import { Pcg32 } from './pcg32.js';

export interface SamplerSettings {
  /** Q16, in [0, 2^32). 0: the token of the largest logit, the lowest id among equals. */
  readonly temperatureQ16: number;
  /** Tokens to choose from, the largest logits first. 0: all. */
  readonly topK: number;
  /** Q16, in [0, 65536]: share of the probability to choose from. 0 counts as 65536: all. */
  readonly topPQ16: number;
  /** Of PCG32, taken modulo 2^64. */
  readonly seed: bigint;
}

/** log2(e) in Q30. */
const LOG2_E = 1549082005n;

export class Sampler {
  readonly #settings: SamplerSettings;
  readonly #random: Pcg32;

  /** Throws RangeError for a topPQ16 above 65536. */
  constructor(settings: SamplerSettings) {
    if (settings.topPQ16 > 65536) throw new RangeError(`top-p of ${settings.topPQ16} / 65536`);
    this.#settings = settings;
    this.#random = new Pcg32(settings.seed);
  }

  /** State of the generator, as struct em_sampler holds it. */
  get state(): bigint {
    return this.#random.state;
  }

  /** The id chosen from logits int32[vocabSize] in Q(logitsFrac). Draws one number unless the temperature is 0. */
  sample(logits: Int32Array, logitsFrac: number): number {
    const { temperatureQ16, topK, topPQ16 } = this.#settings;
    if (temperatureQ16 === 0) return largest(logits);
    const limit = topK > 0 && topK < logits.length ? topK : logits.length;
    const ids = Int32Array.from(logits, (_, id) => id)
      .sort((a, b) => logits[b]! - logits[a]! || a - b)
      .subarray(0, limit);
    const weights = weigh(logits, ids, logitsFrac, temperatureQ16);

    const whole = weights.reduce((sum, w) => sum + w, 0);
    const wanted = topPQ16 === 0 || topPQ16 === 65536 ? whole : share(whole, topPQ16 * 65536);
    let kept = 0;
    let choices = 0;
    while (choices < limit && (kept < wanted || choices === 0)) kept += weights[choices++]!;

    const draw = share(kept, this.#random.nextU32());
    let at = 0;
    for (let passed = weights[0]!; passed <= draw; passed += weights[at]!) at++;
    return ids[at]!;
  }
}

/** The first id of the largest logit. */
function largest(logits: Int32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  return best;
}

/** exp((logit - top) / temperature) in Q30 for ids in the order of their logits; integers. */
function weigh(
  logits: Int32Array,
  ids: Int32Array,
  logitsFrac: number,
  temperatureQ16: number,
): Float64Array {
  const wide = (LOG2_E << 32n) / BigInt(temperatureQ16); // log2(e) / temperature in Q46
  const drop = bitLengthBig(wide) - 31;
  const mantissa = Number(wide >> BigInt(drop));
  const top = logits[ids[0]!]!;
  return Float64Array.from(ids, (id) => {
    const distance = Math.min(top - logits[id]!, INT32_MAX);
    return exp2Negative(scale(distance, mantissa, logitsFrac + 46 - drop - 16));
  });
}

/** floor(value * fraction / 2^32). */
function share(value: number, fraction: number): number {
  return Number((BigInt(value) * BigInt(fraction)) >> 32n);
}
