/** The certificate of a quantization: its loss on a text that chose nothing, measured on the emitted C. */
import type { Target } from '../../targets/target.js';
import type { ModelSource } from '../checkpoint/model-source.js';
import { findToolchain } from '../compile/toolchain.js';
import { EmbedError } from '../diagnostics/error.js';
import type { EvaluationWindows } from '../evaluate/evaluation-text.js';
import { hostTarget } from '../evaluate/host-target.js';
import { scoreOnHost, statisticsOf } from '../evaluate/score-on-host.js';
import type { ValidationStatistics } from '../evaluate/statistics.js';
import type { ValidationReport } from '../evaluate/validation-report.js';
import { kernelSetOf } from '../layout/kernel-set.js';
import type { IntegerModel } from '../lower/lower.js';
import type { StageContext } from '../progress.js';
import type { FormatName } from '../quantize/format.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';
import type { Plan } from '../quantize/plan.js';
import type { AutoText } from './auto-record.js';

/** Why this machine cannot run the emitted C, or null where it can. */
export async function whyNotMeasurable(): Promise<string | null> {
  try {
    await findToolchain(await hostTarget());
    return null;
  } catch (error) {
    if (error instanceof EmbedError && error.code.startsWith('EM3')) return error.why;
    throw error;
  }
}

/** A model with the text that judges it. */
export interface Judged {
  readonly source: ModelSource;
  readonly plan: Plan;
  readonly model: IntegerModel;
  readonly windows: EvaluationWindows;
}

/** Statistics of the emitted C over the windows. Throws what scoreOnHost throws. */
export async function measureLoss(
  { source, plan, model, windows }: Judged,
  threshold: number,
  context: StageContext,
): Promise<ValidationStatistics> {
  const { reference } = await scoreOnHost(source, plan, model, windows, null, context);
  return statisticsOf(reference, threshold);
}

/** Bytes of the matrices in the blob of a target over those of the same model in w16. */
export function sizeAgainst16Bit({ matrices }: IntegerModel, { kernelSet }: Target): number {
  const kernels = kernelSetOf(kernelSet);
  const bytes = (formatOf: (matrix: QuantizedMatrix) => FormatName) =>
    [...matrices.values()].reduce((sum, matrix) => {
      const format = formatOf(matrix);
      return sum + kernels.layoutFor(format).sectionBytes(format, matrix.rows, matrix.columns);
    }, 0);
  return bytes(({ format }) => format) / bytes(() => 'w16');
}

/** Measures on the certification text, which is used this once, and writes down what was found. */
export async function certify(
  judged: Judged,
  text: AutoText,
  threshold: number,
  sizeAgainst16Bit: number,
  context: StageContext,
): Promise<ValidationReport> {
  const statistics = await measureLoss(judged, threshold, context);
  const { source, plan, windows } = judged;
  return {
    schemaVersion: 1,
    model: source.name,
    plan: plan.name,
    text: { name: text.name, sha256: text.sha256 },
    window: windows.window,
    ...statistics,
    speedAgainst16Bit: null,
    sizeAgainst16Bit,
    threshold,
    integerCost: null,
  };
}
