import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileSha256 } from '../../bundle/bundle-files.js';
import { type GoldenRun, type Manifest, readManifest } from '../../bundle/manifest.js';
import { printable } from '../../diagnostics/printable.js';
import { formatAmount, formatBytes, formatCount } from '../quantities.js';
import { fieldList, textTable } from '../text-table.js';
import type { Inspection } from './inspection.js';

/** Describes a bundle and checks that its files are those of the manifest. Throws EM1401. */
export function inspectBundle(path: string): Inspection {
  const manifest = readManifest(path);
  const faults = changedFiles(path, manifest);
  return {
    kind: 'bundle',
    document: { manifest, files: { count: Object.keys(manifest.files).length, faults } },
    text: printable(`bundle\n\n${facts(manifest, faults)}\n\n${formatsTable(manifest)}`),
    faults,
  };
}

/** Files that are missing or have another hash than the manifest says, in words. */
function changedFiles(bundle: string, { files }: Manifest): string[] {
  return Object.entries(files).flatMap(([name, sha256]) => {
    const path = join(bundle, name);
    // A manifest from elsewhere must not make us read elsewhere.
    if (name.startsWith('/') || name.split('/').includes('..')) return [`${name} is outside of the bundle`];
    if (!existsSync(path)) return [`${name} is missing`];
    return fileSha256(path) === sha256 ? [] : [`${name} was changed`];
  });
}

function facts(manifest: Manifest, faults: readonly string[]): string {
  const { model, build, quantization, memory, code, toolchain } = manifest;
  const { calibration } = quantization;
  const parameters = formatCount(model.parameters);
  const bitsPerWeight = quantization.bitsPerWeight.toFixed(2);
  const fileCount = Object.keys(manifest.files).length;
  return fieldList([
    ['model', `${model.name} (${model.architecture}, ${parameters} parameters), from ${model.source}`],
    ['model sha256', model.sha256],
    ['target', manifest.target],
    ['build', build.id],
    ['quantization', `${manifest.plan.name}, ${bitsPerWeight} bits per weight, ${quantization.method}`],
    ['calibration', `${formatAmount(calibration.tokens, 'token')} of ${calibration.source}`],
    ['quantized', build.quantizedSha256],
    ['context', formatAmount(manifest.context, 'position')],
    ['tokenizer', manifest.tokenizer ? 'in the blob' : 'none: token ids only'],
    ['blob', blobText(manifest)],
    ['memory', memoryText(memory)],
    code && ['code', `text ${formatBytes(code.textBytes)}, rodata ${formatBytes(code.rodataBytes)}`],
    toolchain && ['compiler', toolchain.version],
    ['golden runs', manifest.golden.map(goldenText).join('\n')],
    ['files', faults.length === 0 ? `${fileCount}, all as they were built` : faults.join('\n')],
  ]);
}

function blobText({ memory, singleFile }: Manifest): string {
  const parts = `${formatBytes(memory.blobBytes)}, of which weights ${formatBytes(memory.weightsBytes)}`;
  return singleFile ? `${parts}; in bin/em-run` : parts;
}

function memoryText({ arenaBytes, kvCacheBytes, activationBytes, stackBytes }: Manifest['memory']): string {
  const parts = `KV cache ${formatBytes(kvCacheBytes)}, activations ${formatBytes(activationBytes)}`;
  const stack = stackBytes === null ? '' : `, stack ${formatBytes(stackBytes)}`;
  return `arena ${formatBytes(arenaBytes)} (${parts})${stack}`;
}

function goldenText({ promptIds, tokenIds, sampling, logitsDigest }: GoldenRun): string {
  const how = sampling.temperatureQ16 === 0 ? 'greedy' : `sampled with seed ${sampling.seed}`;
  return `${logitsDigest}  ${promptIds.length} + ${tokenIds.length} tokens, ${how}`;
}

function formatsTable({ tensors }: Manifest): string {
  const formats = [...new Set(tensors.map(({ format }) => format))];
  const rows = formats.map((format) => {
    const those = tensors.filter((tensor) => tensor.format === format);
    const bytes = those.reduce((sum, tensor) => sum + tensor.bytes, 0);
    return [format, String(those.length), formatBytes(bytes), namesText(those.map(({ name }) => name))];
  });
  return textTable(
    [
      { title: 'format' },
      { title: 'tensors', align: 'right' },
      { title: 'size', align: 'right' },
      { title: 'which' },
    ],
    rows,
  );
}

/** layers.0.attn.q, layers.1.attn.q ... -> layers.*.attn.q */
function namesText(names: readonly string[]): string {
  return [...new Set(names.map((name) => name.replace(/\.\d+\./g, '.*.')))].join(', ');
}
