/** Finds out by content what lies at a path, and describes it. */
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { isJsonObject, type JsonObject, parseJsonObject } from '../../checkpoint/json-object.js';
import { recognizeFormat } from '../../checkpoint/recognize-format.js';
import { EmbedError } from '../../diagnostics/error.js';
import { BLOB_MAGIC } from '../../layout/blob-header.js';
import { readSmallFile } from '../read-small-file.js';
import { inspectAcceptance } from './inspect-acceptance.js';
import { inspectBlob } from './inspect-blob.js';
import { inspectBundle } from './inspect-bundle.js';
import { inspectCheckpoint } from './inspect-checkpoint.js';
import { inspectPlan } from './inspect-plan.js';
import { inspectQuantizationSummary } from './inspect-quantization-summary.js';
import { inspectResult } from './inspect-result.js';
import { inspectValidationReport } from './inspect-validation-report.js';
import type { Inspection } from './inspection.js';

/** Records grow with the tensors of a model; none comes near this. */
const largestJsonBytes = 32 << 20;

/**
 * Describes a checkpoint, bundle, blob, plan, result or validation report. Throws EM1209 for anything else,
 * and the errors of its reader for what is damaged.
 */
export function inspectPath(path: string): Inspection {
  return isFolder(path) ? inspectFolder(path) : inspectFile(path);
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw unknown(path, 'there is no such file or folder, or it cannot be read', cause);
  }
}

function inspectFolder(path: string): Inspection {
  let names: string[];
  try {
    names = readdirSync(path);
  } catch (cause) {
    throw unknown(path, 'the folder cannot be read', cause);
  }
  if (names.includes('manifest.json')) return inspectBundle(path);
  if (names.some((name) => name === 'config.json' || name.endsWith('.safetensors')))
    return inspectCheckpoint(path);
  const found =
    names.length === 0 ? 'the folder is empty' : `the folder holds ${names.slice(0, 4).join(', ')}`;
  throw unknown(path, `${found}, and neither manifest.json nor config.json`);
}

function inspectFile(path: string): Inspection {
  const start = firstBytes(path);
  if (BLOB_MAGIC.every((byte, at) => start[at] === byte)) return inspectBlob(path);
  if (path.toLowerCase().endsWith('.bin') || recognizeFormat(path, start) !== null)
    return inspectCheckpoint(path);
  if (/^\s*\{/.test(Buffer.from(start).toString('latin1'))) return inspectJson(path);
  throw unknown(
    path,
    start.length === 0 ? 'the file is empty' : 'the file begins like nothing that is known',
  );
}

function inspectJson(path: string): Inspection {
  const record = parseJsonObject(readSmallFile(path, largestJsonBytes, 'EM1209'), path, 'EM1209');
  if ('rules' in record) return inspectPlan(record, path);
  if ('golden' in record && basename(path) === 'manifest.json') return inspectBundle(dirname(path));
  if ('gates' in record) return inspectAcceptance(record, path);
  if ('variants' in record && 'tensors' in record) return inspectQuantizationSummary(record, path);
  if ('lnRatio' in record) return inspectValidationReport(record, path);
  if (isJsonObject(record.speed) && isJsonObject(record.output)) return inspectResult(record, path);
  throw unknown(path, describeJson(record));
}

function describeJson(record: JsonObject): string {
  if ('model_type' in record || 'architectures' in record) {
    return 'it is the config.json of a checkpoint; give the folder it lies in';
  }
  const keys = Object.keys(record);
  return keys.length === 0
    ? 'it is JSON without a field'
    : `it is JSON with ${keys.slice(0, 4).join(', ')}, and no record of embed-model`;
}

function firstBytes(path: string): Uint8Array {
  if (!statSync(path).isFile()) throw unknown(path, 'it is neither a regular file nor a folder');
  let handle: number | undefined;
  try {
    handle = openSync(path, 'r');
    const bytes = new Uint8Array(64);
    return bytes.subarray(0, readSync(handle, bytes));
  } catch (cause) {
    throw unknown(path, 'the file cannot be read', cause);
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

function unknown(where: string, why: string, cause?: unknown): EmbedError {
  return new EmbedError('EM1209', { where, why, cause });
}
