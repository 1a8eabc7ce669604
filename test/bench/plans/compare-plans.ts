/** How far plans and methods diverge from the checkpoint at the same bytes, for calibration texts drawn by several seeds. */
import { type BytesOf, closestAllocation } from '../../../codegen/allocate/allocate-bits.js';
import { measureSensitivities } from '../../../codegen/allocate/sensitivity.js';
import { sectionBytes } from '../../../codegen/allocate/size-limit.js';
import { Pcg32 } from '../../../codegen/arithmetic/pcg32.js';
import { DivergenceProbe } from '../../../codegen/calibrate/divergence-probe.js';
import { checkpointWeights, dequantizedWeights } from '../../../codegen/calibrate/float-weights.js';
import { createLinearAlgebra } from '../../../codegen/calibrate/linear-algebra.js';
import type { Graph } from '../../../codegen/graph/graph.js';
import type { StageContext } from '../../../codegen/progress.js';
import type { FormatName } from '../../../codegen/quantize/format.js';
import { quantizeSequentially } from '../../../codegen/quantize/gptq/quantize-sequentially.js';
import type { QuantizedMatrix } from '../../../codegen/quantize/matrix.js';
import type { Plan } from '../../../codegen/quantize/plan.js';
import { quantizeGraph } from '../../../codegen/quantize/quantize.js';
import { type ComparedModel, windowsOf } from '../compared-model.js';
import { type NamedFormats, referencePlans } from './reference-plans.js';

export interface ComparedPlan {
  readonly name: string;
  /** Bytes of all matrices over all their weights, in bits. */
  readonly bitsPerWeight: number;
  /** Nats a token. Rounding to nearest looks at no calibration text. */
  readonly nearest: number;
  /** Of the same plan by GPTQ, and of the allocation within the same bytes by GPTQ: one a seed. */
  readonly gptq: readonly number[];
  readonly allocated: readonly number[];
}

export interface PlanComparison {
  readonly plans: readonly ComparedPlan[];
  readonly fittedTokens: number;
  readonly positions: number;
}

const WINDOW = 128;
const FITTED_TOKENS = 4096;
const PROBE_TOKENS = 1024;
const GROUP_SIZE = 32;

type Windows = readonly (readonly number[])[];

/**
 * The first half of the validation text measures sensitivities, the first `measuredTokens` of the second plans. Bytes are those of the
 * blob for x86_64-avx2.
 */
export async function comparePlans(
  model: ComparedModel,
  seeds: readonly number[],
  measuredTokens: number,
  context: StageContext,
): Promise<PlanComparison> {
  const { graph, checkpoint, validation } = model;
  const weights = checkpointWeights(checkpoint, graph);
  const length = Math.min(WINDOW, graph.context);
  const half = validation.length >> 1;
  const judged = windowsOf(validation.subarray(half), length, measuredTokens);
  const measured = await DivergenceProbe.over(graph, weights, judged, context.signal);
  const plans = referencePlans(graph);
  const divergence = async (matrices: ReadonlyMap<string, QuantizedMatrix>) =>
    (await measured.measure(dequantizedWeights(checkpoint, graph, matrices), context.signal)).kld;

  const nearest = new Map<string, number>();
  for (const { name, formats } of plans) {
    const plan = exactPlan(name, formats);
    nearest.set(name, await divergence(await quantizeGraph(graph, checkpoint, plan, name, context)));
  }
  const bytesOf = sectionBytes(graph, { kernelSet: 'avx2' });
  const gptq = new Map<string, number[]>(plans.map(({ name }) => [name, []]));
  const allocated = new Map<string, number[]>(plans.map(({ name }) => [name, []]));
  for (const seed of seeds) {
    const fitted = drawWindows(model.calibration, length, FITTED_TOKENS, seed);
    const common = { graph, checkpoint, weights, algebra: createLinearAlgebra(), groupSize: GROUP_SIZE };
    const fit = async (formats: ReadonlyMap<string, FormatName>) =>
      divergence(await quantizeSequentially({ ...common, formats, windows: fitted }, context));
    const probe = windowsOf(validation.subarray(0, half), length, PROBE_TOKENS);
    const sensitivities = await measureSensitivities({ ...common, calibration: fitted, probe }, context);
    for (const { name, formats } of plans) {
      const found = await fit(formats);
      gptq.get(name)!.push(found);
      const bytes = totalBytes(graph, formats, bytesOf);
      const allocation = closestAllocation(sensitivities, bytesOf, bytes)!.formats;
      const isSame = [...allocation].every(([matrix, format]) => formats.get(matrix) === format);
      allocated.get(name)!.push(isSame ? found : await fit(allocation));
    }
  }
  const weightsCount = graph.matrices.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  return {
    plans: plans.map(({ name, formats }) => ({
      name,
      bitsPerWeight: (8 * totalBytes(graph, formats, bytesOf)) / weightsCount,
      nearest: nearest.get(name)!,
      gptq: gptq.get(name)!,
      allocated: allocated.get(name)!,
    })),
    fittedTokens: FITTED_TOKENS,
    positions: judged.length * (length - 1),
  };
}

function exactPlan(name: string, formats: NamedFormats['formats']): Plan {
  const rules = [...formats].map(([match, format]) => ({ match, format }));
  return { schemaVersion: 1, name, groupSize: GROUP_SIZE, rotate: true, rules };
}

function totalBytes(graph: Graph, formats: NamedFormats['formats'], bytesOf: BytesOf): number {
  return graph.matrices.reduce((sum, { name }) => sum + bytesOf(name, formats.get(name)!), 0);
}

/** Windows that do not overlap, in a random order of those of the text. */
function drawWindows(ids: Int32Array, length: number, tokens: number, seed: number): Windows {
  const random = new Pcg32(BigInt(seed));
  const all = windowsOf(ids, length, ids.length).slice();
  const count = Math.min(all.length, Math.floor(tokens / length));
  for (let i = 0; i < count; i++) {
    const j = i + random.nextBelow(all.length - i);
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all.slice(0, count);
}
