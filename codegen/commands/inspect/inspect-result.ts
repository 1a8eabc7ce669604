import type { Result } from '../../../deploy/result.js';
import type { JsonObject } from '../../checkpoint/json-object.js';
import { EmbedError } from '../../diagnostics/error.js';
import { resultSummary } from '../result-summary.js';
import type { Inspection } from './inspection.js';
import { findMisshape, type Shape } from './record-shape.js';

const count: Shape = 'number|null';

/** The fields of a result that are shown. */
export const resultShape: Shape = {
  fields: {
    model: { fields: { name: 'string', family: 'string', parameters: 'number' } },
    target: 'string',
    build: { fields: { id: 'string' } },
    board: {
      fields: { name: 'string|null', transport: 'string|null', emulated: 'boolean', cpu: 'string|null' },
    },
    quantization: {
      fields: { name: 'string', bitsPerWeight: 'number', formats: { each: 'number' }, method: 'string' },
    },
    files: { fields: { blobBytes: 'number', textBytes: count, rodataBytes: count } },
    memory: {
      fields: {
        weightsBytes: 'number',
        kvCacheBytes: 'number',
        activationBytes: 'number',
        stackBytes: count,
        peakRssBytes: count,
      },
    },
    speed: {
      fields: {
        threads: count,
        promptTokens: count,
        promptTokensPerSecond: count,
        generatedTokens: count,
        tokensPerSecond: { fields: { median: count } },
        timeToFirstTokenMs: count,
      },
    },
    output: {
      fields: {
        prompt: 'string|null',
        text: 'string|null',
        logitsDigest: 'string|null',
        matchesGolden: 'boolean|null',
      },
    },
    warnings: { list: 'string' },
  },
};

/** Describes a result record. Throws EM1209 where it is none. */
export function inspectResult(record: JsonObject, path: string): Inspection {
  const wrong =
    record.schemaVersion === 1
      ? findMisshape(record, resultShape)
      : 'schemaVersion is not 1, which this version reads';
  if (wrong !== null) throw new EmbedError('EM1209', { where: path, why: `no valid result: ${wrong}` });
  const result = record as unknown as Result;
  return { kind: 'result', document: { result }, text: `result\n\n${resultSummary(result)}`, faults: [] };
}
