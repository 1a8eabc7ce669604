/** What goes into the blob of a model, section by section. */
import type { IntegerModel } from '../lower/lower.js';
import { definitionOf, type Step } from '../ops/index.js';
import { formats } from '../quantize/format.js';
import type { QuantizedMatrix } from '../quantize/matrix.js';
import { leastExponent } from '../quantize/row-scale.js';
import type { BlobSection } from './blob.js';
import type { KernelSet } from './kernel-set.js';

/** Sections in their order: matrices as the graph names them, norm gains and biases, rope, tokenizer. */
export function blobSections(
  model: IntegerModel,
  kernels: KernelSet,
  tokenizer: Uint8Array | null,
): BlobSection[] {
  const sections = [...model.matrices.values()].map((matrix) => matrixSection(matrix, kernels));
  for (const step of [...model.prologue, ...model.layers.flat(), ...model.epilogue])
    sections.push(...vectorSections(step));
  const { rope, graph } = model;
  if (rope !== null) sections.push(table('rope', graph.context, rope.length / graph.context, bytesOf(rope)));
  if (tokenizer !== null) sections.push(table('tokenizer', 1, tokenizer.length, tokenizer));
  return sections;
}

function matrixSection(matrix: QuantizedMatrix, kernels: KernelSet): BlobSection {
  const { name, format, rows, columns } = matrix;
  const layout = kernels.layoutFor(format);
  return {
    name,
    format: formats[format].code,
    layout: layout.code,
    rows,
    cols: columns,
    leastExponent: leastExponent(matrix),
    bytes: layout.sectionBytes(format, rows, columns),
    content: function* () {
      yield layout.pack(matrix);
    },
  };
}

function vectorSections(step: Step): BlobSection[] {
  const vectors = definitionOf(step.kind).vectors?.(step) ?? [];
  return vectors.map(({ name, values }) => table(name, 1, values.length, bytesOf(values)));
}

function table(name: string, rows: number, cols: number, content: Uint8Array): BlobSection {
  return { name, format: 0, layout: 0, rows, cols, bytes: content.length, content };
}

/** The bytes of a typed array; hosts are little-endian, as the blob is. */
function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
