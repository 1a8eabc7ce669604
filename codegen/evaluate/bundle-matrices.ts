/** The weights of a bundle as they are in its blob. */
import type { Manifest } from '../bundle/manifest.js';
import { EmbedError } from '../diagnostics/error.js';
import type { Graph, MatrixInfo } from '../graph/graph.js';
import { type BlobEntry, type BlobSource, readBlobSection, verifyBlobPayload } from '../layout/blob.js';
import { bundleBlob } from '../layout/bundle-blob.js';
import { type KernelSet, kernelSetOf } from '../layout/kernel-set.js';
import { unpackMatrix } from '../layout/unpack-matrix.js';
import { breathe, type StageContext } from '../progress.js';
import { formatByCode, formats } from '../quantize/format.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';

/**
 * Reads the matrices of the graph from the blob of a bundle, with the gains of their ops in their row scales. Whatever method
 * found the integers, these are the ones that run. Throws EM1402 to EM1407 for a blob that is missing or damaged, EM2014 for one of
 * another build or model.
 */
export async function readBundleMatrices(
  bundle: string,
  manifest: Pick<Manifest, 'singleFile' | 'build' | 'targetSpec'>,
  graph: Graph,
  { progress, signal }: StageContext,
): Promise<ReadonlyMap<string, QuantizedMatrix>> {
  const source = bundleBlob(bundle, manifest);
  const { buildId, entries } = verifyBlobPayload(source);
  const found = Buffer.from(buildId).toString('hex');
  if (found !== manifest.build.id) {
    throw foreign(bundle, `its blob is of build ${found}, the manifest of ${manifest.build.id}`);
  }
  const kernels = kernelSetOf(manifest.targetSpec.kernelSet);
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const matrices = new Map<string, QuantizedMatrix>();
  progress.begin('read weights', graph.matrices.length, 'matrix');
  for (const info of graph.matrices) {
    await breathe(signal);
    const entry = byName.get(info.name);
    if (entry === undefined) throw foreign(bundle, `its blob has no section ${info.name}`);
    matrices.set(info.name, readMatrix(bundle, source, entry, info, kernels));
    progress.advance(1);
  }
  progress.end(`${graph.matrices.length} matrices of the bundle`);
  return matrices;
}

function readMatrix(
  bundle: string,
  source: BlobSource,
  entry: BlobEntry,
  { name, rows, columns }: MatrixInfo,
  kernels: KernelSet,
): QuantizedMatrix {
  const format = formatByCode(entry.format)?.name;
  const layout = format === undefined ? undefined : kernels.layoutFor(format);
  if (format === undefined || layout?.code !== entry.layout) {
    throw foreign(bundle, `format ${entry.format} in layout ${entry.layout} of ${name} is not known`);
  }
  const bytes = layout.sectionBytes(format, rows, columns);
  if (entry.rows !== rows || entry.cols !== columns || entry.bytes !== bytes) {
    const said = `${entry.rows} x ${entry.cols} in ${entry.bytes} bytes`;
    throw foreign(bundle, `${name} has ${said}, the model ${rows} x ${columns} in ${bytes}`);
  }
  const shape = { format, rows, columns, leastExponent: entry.leastExponent };
  const matrix = unpackMatrix(layout, readBlobSection(source, entry), name, shape);
  const fault = faultOf(matrix);
  if (fault !== null) throw foreign(bundle, `${name}: ${fault}`);
  return matrix;
}

/** What no quantizer makes, in words: kernels and proofs of their accumulators rely on it. */
function faultOf({ format, integers, subScales, mantissas }: QuantizedMatrix): string | null {
  const { min, max } = formats[format];
  if (integers.some((q) => q < min || q > max)) return `an integer is outside [${min}, ${max}]`;
  if (subScales?.some((k) => k < -127) === true) return 'a sub-scale is outside [-127, 127]';
  return mantissas.some((m) => m !== 0 && m < 2 ** 30) ? 'a multiplier is not normalized' : null;
}

function foreign(where: string, why: string): EmbedError {
  return new EmbedError('EM2014', { where, why });
}
