/** Windows of a calibration text for methods that look at what flows through the model. */

/** Tokens that weights are fitted to at most: twice as many lower the divergence of 4 bits by 5 % and take twice the time. */
const FITTED_TOKENS = 8192;
/** Tokens that are kept back at most, to judge on text that no weight was fitted to. */
const JUDGED_TOKENS = 1024;
const WINDOW = 128;
/** Fewer tokens than this say too little about a matrix: weights fitted to them do worse on other text than rounded ones. */
const FEWEST_TOKENS = 1024;

export interface CalibrationWindows {
  readonly fitted: readonly (readonly number[])[];
  /** The text right behind that of `fitted`. */
  readonly judged: readonly (readonly number[])[];
}

/**
 * An eighth of the text, at its end, is kept back to judge; null where the text has fewer than 1024 tokens. `fittedTokens` bounds
 * what weights are fitted to.
 */
export function calibrationWindows(
  ids: ArrayLike<number>,
  context: number,
  fittedTokens = FITTED_TOKENS,
): CalibrationWindows | null {
  const length = Math.min(WINDOW, context);
  const usable = Math.min(ids.length, fittedTokens + JUDGED_TOKENS);
  if (usable < FEWEST_TOKENS || length < 2) return null;
  const judged = Math.max(1, Math.floor(Math.min(usable / 8, JUDGED_TOKENS) / length));
  const all = Math.floor(usable / length);
  const windows = Array.from({ length: all }, (_, w) =>
    Array.from({ length }, (_, i) => ids[w * length + i]!),
  );
  return { fitted: windows.slice(0, all - judged), judged: windows.slice(all - judged) };
}

/** Tokens that errors of outputs are measured on at most. */
const MEASURED_TOKENS = 512;

/** Windows from the end of the text, which weights were fitted to least; at least one token. */
export function measuredWindows(ids: ArrayLike<number>, context: number): readonly (readonly number[])[] {
  const length = Math.min(WINDOW, context, ids.length);
  const count = Math.max(1, Math.floor(Math.min(MEASURED_TOKENS, ids.length) / length));
  const first = ids.length - count * length;
  return Array.from({ length: count }, (_, w) =>
    Array.from({ length }, (_, i) => ids[first + w * length + i]!),
  );
}

/** What is said of a text that is too short. */
export const tooShort = (tokens: number) =>
  `the calibration text has ${tokens} tokens, GPTQ wants ${FEWEST_TOKENS}`;
