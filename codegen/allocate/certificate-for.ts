/** Whether a model is accepted, and by which measurement. */
import { type BuildOptions, MAX_LOSS } from '../build-options.js';
import type { ModelSource } from '../checkpoint/model-source.js';
import type { ValidationReport } from '../evaluate/validation-report.js';
import type { IntegerModel } from '../lower/lower.js';
import type { StageContext } from '../progress.js';
import { certificationHalf } from './auto-texts.js';
import { certify, sizeAgainst16Bit, whyNotMeasurable } from './certify.js';
import { type FoundIntegers, readValidationFor } from './find-integers.js';

/**
 * The certificate of the search, the one that came with the model if these are its integers, or one made now where a validation
 * text was given with a plan; null where nothing certifies the model.
 */
export async function certificateFor(
  { auto, solved, plan }: FoundIntegers,
  source: ModelSource,
  model: IntegerModel,
  quantizedSha256: string,
  options: BuildOptions,
  context: StageContext,
): Promise<ValidationReport | null> {
  if (auto !== null) return auto.certification;
  if (
    solved !== null &&
    (options.staticActivations ?? null) === null && // it was measured with dynamic ones
    solved.quantizedSha256 === quantizedSha256 &&
    solved.context === model.graph.context
  ) {
    return solved.certification;
  }
  if ((options.validation ?? null) === null) return null;
  const text = readValidationFor(source, model.graph, options)!;
  const obstacle = await whyNotMeasurable();
  if (obstacle !== null) {
    context.progress.warn(`nothing is certified: ${obstacle}`);
    return null;
  }
  const { windows, record } = certificationHalf(model.graph, text);
  const size = sizeAgainst16Bit(model, options.target);
  return certify({ source, plan, model, windows }, record, options.maxLoss ?? MAX_LOSS, size, context);
}
