/** Speed of a quantized model against the same model with 16-bit weights. */
import { isDeepStrictEqual } from 'node:util';
import { readHostCpu, whyNotNative } from '../../deploy/host-cpu.js';
import { EmbedError } from '../diagnostics/error.js';
import { withHostBuild } from '../evaluate/host-build.js';
import { foldGains } from '../lower/fold-gains.js';
import { type IntegerModel, lower } from '../lower/lower.js';
import type { StageContext } from '../progress.js';
import { namedPlans } from '../quantize/plan.js';
import { quantizeGraph } from '../quantize/quantize.js';
import type { HostProgram } from './behaviour.js';
import type { JudgedModel } from './judge-model.js';
import { measurePairs, type PairedSpeed } from './paired-speed.js';

/** On the model's own target, by one compiler; or why it cannot be measured. `build` is of its integers. */
export async function measureSixteenBitSpeed(
  judged: JudgedModel,
  build: HostProgram,
  context: StageContext,
): Promise<PairedSpeed | string> {
  const { manifest, source, reference, prompts } = judged;
  const { targetSpec: target, plan } = manifest;
  const obstacle = whyNotNative(target, await readHostCpu());
  if (obstacle !== undefined)
    return `${target.name} does not run on this machine, and emulated speed says nothing`;
  const limit = reference.graph.context;
  try {
    const model = await sixteenBitModel(judged, context);
    const compare = (quantized: HostProgram) =>
      withHostBuild(quantized, source, namedPlans.int16!, model, context, (wide) =>
        measurePairs(quantized, wide, prompts[0]!.ids, limit, context),
      );
    const speed = isDeepStrictEqual(target, build.target)
      ? await compare(build)
      : await withHostBuild({ target }, source, plan, reference.model, context, compare);
    return speed ?? `a context of ${limit} has no room`;
  } catch (error) {
    if (!(error instanceof EmbedError)) throw error;
    return `with 16-bit weights: ${error.code} ${error.why}`;
  }
}

/** The same model with 16-bit weights, and the activations of the bundle. */
async function sixteenBitModel(
  { manifest, source, reference }: JudgedModel,
  context: StageContext,
): Promise<IntegerModel> {
  const { graph, weights } = reference;
  const plan = namedPlans.int16!;
  const matrices = await quantizeGraph(graph, source.checkpoint, plan, plan.name, context);
  return lower({
    graph,
    matrices: foldGains(graph, matrices),
    vector: (name) => weights.vector(name),
    ranges: new Map(Object.entries(manifest.quantization.ranges)),
  });
}
