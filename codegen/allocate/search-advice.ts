/** What to do where the plan that a search found loses too much. */

/** Where a checkpoint does not bear the bits that it was given. */
export const TRAINING_ADVICE =
  'train the checkpoint with quantization in mind, or take a larger one; weights that come quantized keep their integers';

/** `maxLoss`: a fraction; `maxBytes`: of the blob, null where none were asked for. */
export function searchAdvice(maxLoss: number, maxBytes: number | null): string[] {
  const percent = `${(100 * maxLoss).toFixed(1)} %`;
  return [
    maxBytes === null
      ? `no plan up to int8 stays below ${percent} for certain: allow more with --max-loss, or give a longer --validation text`
      : `${maxBytes} bytes are too few for a loss below ${percent}: allow more bytes`,
    'calibrate with text like that which the model was trained on',
    TRAINING_ADVICE,
  ];
}
