import type { DiagnosticCode } from '../diagnostics/catalog.js';
import { EmbedError } from '../diagnostics/error.js';
import type { BoundedFile } from './bounded-file.js';
import { findStructuralFault } from './structural-fault.js';

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * The JSON object a byte range holds: strict UTF-8, no duplicate keys, bounded nesting.
 * Throws `code` for anything else; `where` names the file.
 */
export function parseJsonObject(bytes: Uint8Array, where: string, code: DiagnosticCode): JsonObject {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof SyntaxError ? `not JSON: ${cause.message}` : 'not UTF-8 text';
    throw new EmbedError(code, { where, why, cause });
  }
  if (!isJsonObject(value)) throw new EmbedError(code, { where, why: 'not a JSON object' });
  const fault = findStructuralFault(text);
  if (fault !== null) throw new EmbedError(code, { where, why: fault });
  return value;
}

/** The JSON object a whole file holds. Throws EM1004, also when the file is larger than `mostBytes`. */
export function readJsonObject(file: BoundedFile, mostBytes: number): JsonObject {
  if (file.size > mostBytes) {
    throw new EmbedError('EM1004', {
      where: file.path,
      why: `has ${file.size} bytes; at most ${mostBytes} are read`,
    });
  }
  const bytes = new Uint8Array(file.size);
  file.read(0, bytes);
  return parseJsonObject(bytes, file.path, 'EM1004');
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
