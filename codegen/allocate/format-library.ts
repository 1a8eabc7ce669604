/** Every matrix in every format that bits are allocated from, so that any allocation can be measured without quantizing anew. */
import { DivergenceProbe } from '../calibrate/divergence-probe.js';
import { dequantizedWeights } from '../calibrate/float-weights.js';
import type { StageContext } from '../progress.js';
import { quantizeSequentially } from '../quantize/gptq/quantize-sequentially.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';
import { type AllocatedFormat, allocatedFormats, type SensitivityInput } from './sensitivity.js';

export class FormatLibrary {
  private constructor(
    readonly input: SensitivityInput,
    readonly probe: DivergenceProbe,
    readonly matrices: Readonly<Record<AllocatedFormat, ReadonlyMap<string, QuantizedMatrix>>>,
  ) {}

  /**
   * Quantizes the model once in each format, by GPTQ. A matrix then was fitted to inputs that matrices of its own format made, and is
   * measured among others: near enough to choose by, and the plan that is chosen is quantized for itself. A byte a weight and format.
   */
  static async build(input: SensitivityInput, context: StageContext): Promise<FormatLibrary> {
    const { graph, checkpoint, weights, algebra, groupSize, calibration } = input;
    const matrices: Partial<Record<AllocatedFormat, ReadonlyMap<string, QuantizedMatrix>>> = {};
    for (const format of allocatedFormats) {
      const formats = new Map(graph.matrices.map(({ name }) => [name, format]));
      const common = { graph, checkpoint, weights, algebra, groupSize };
      matrices[format] = await quantizeSequentially({ ...common, formats, windows: calibration }, context);
    }
    const probe = await DivergenceProbe.over(graph, weights, input.probe, context.signal);
    return new FormatLibrary(input, probe, matrices as FormatLibrary['matrices']);
  }

  /** Divergence from the checkpoint, nats a token, of the model with these formats. */
  async divergence(formats: ReadonlyMap<string, AllocatedFormat>, signal: AbortSignal): Promise<number> {
    const { checkpoint, graph } = this.input;
    const chosen = new Map([...formats].map(([name, format]) => [name, this.matrices[format].get(name)!]));
    return (await this.probe.measure(dequantizedWeights(checkpoint, graph, chosen), signal)).kld;
  }
}
