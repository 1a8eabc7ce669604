/** The C sources of a model: generated files and the library files that go with them, as text by name. */
import { readdirSync, readFileSync } from 'node:fs';
import type { KernelSet } from '../layout/kernel-set.js';
import { type EmissionInput, headerView, memoryView, modelView } from './model-view.js';
import { render, templatesFolder } from './render.js';

const runtimeFiles = [
  'em.h',
  'em_port.h',
  'em_model.h',
  'em_session.c',
  'em_sample.c',
  'em_blob.h',
  'em_blob.c',
  'em_sha256.h',
  'em_sha256.c',
  'em_crc32c.h',
  'em_crc32c.c',
  'em_mem.c',
];
const kernelFiles = [
  'em_fixed.h',
  'em_vector_types.h',
  'em_tables.h',
  'em_activation.h',
  'em_quantize.h',
  'em_norm.h',
  'em_elementwise.h',
  'em_neurons.h',
  'em_cache_types.h',
  'em_attention.h',
  'em_linear_op.h',
  'em_dispatch.h',
];

/** The tokenizer of the library: em_tokenizer*.c and .h. */
function tokenizerFiles(): string[] {
  return readdirSync(`${templatesFolder}runtime`)
    .filter((name) => /^em_tokenizer.*\.[ch]$/.test(name))
    .sort();
}

/** Every file of src/ but build_id.c, by name, in a fixed order: what the build id covers. */
export function emitSources(input: EmissionInput, kernels: KernelSet): Map<string, string> {
  const read = (path: string) => readFileSync(`${templatesFolder}${path}`, 'utf8');
  const files = new Map<string, string>();
  files.set('model.h', render('model.h.hbs', headerView(input)));
  files.set('em_memory.h', render('em_memory.h.hbs', memoryView(input)));
  files.set('model.c', render('model.c.hbs', modelView(input)));
  for (const name of [...runtimeFiles, ...(input.hasTokenizer ? tokenizerFiles() : [])])
    files.set(name, read(`runtime/${name}`));
  for (const name of [...kernelFiles, ...kernels.shared]) files.set(name, read(`kernels/${name}`));
  for (const name of kernels.headers) files.set(name, read(`kernels/${kernels.folder}/${name}`));
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** build_id.c: the only source that the build id does not cover. */
export function emitBuildId(buildId: Uint8Array): string {
  const hex = [...buildId].map((byte) => `0x${byte.toString(16).padStart(2, '0')},`);
  const lines = [0, 8, 16, 24].map((from) => hex.slice(from, from + 8).join(' '));
  return render('build_id.c.hbs', { lines });
}
