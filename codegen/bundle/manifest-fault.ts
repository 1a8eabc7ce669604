/** What keeps a JSON value from being a manifest: bundles are copied around and edited, and every command reads them. */
import { architectures, kernelSets } from '../../targets/target.js';
import { formatNames } from '../quantize/format.js';

/** Says what is wrong with a value, or null. `path` names the field. */
type Check = (value: unknown, path: string) => string | null;

const is =
  (type: 'string' | 'number' | 'boolean'): Check =>
  (value, path) =>
    typeof value === type ? null : `${path} is no ${type}`;

const text = is('string');
const number = is('number');

/** A non-negative integer. */
const count: Check = (value, path) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? null : `${path} is no non-negative integer`;

const orNull =
  (check: Check): Check =>
  (value, path) =>
    value === null ? null : check(value, path);

const listOf =
  (check: Check): Check =>
  (value, path) => {
    if (!Array.isArray(value)) return `${path} is no list`;
    for (const [i, item] of value.entries()) {
      const fault = check(item, `${path}[${i}]`);
      if (fault !== null) return fault;
    }
    return null;
  };

const oneOf =
  (choices: readonly string[]): Check =>
  (value, path) =>
    choices.some((choice) => choice === value) ? null : `${path} is none of ${choices.join(', ')}`;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** An object whose values are all alike. */
const mapOf =
  (check: Check): Check =>
  (value, path) => {
    if (!isObject(value)) return `${path} is no object`;
    const faults = Object.entries(value).map(([key, item]) => check(item, `${path}.${key}`));
    return faults.find((fault) => fault !== null) ?? null;
  };

/** An object with at least these fields. */
const record =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value, path) => {
    if (!isObject(value)) return `${path} is no object`;
    for (const [key, check] of Object.entries(fields)) {
      const fault = check(value[key], path === '' ? key : `${path}.${key}`);
      if (fault !== null) return fault;
    }
    return null;
  };

/** For what not every bundle has. */
const orAbsent =
  (check: Check): Check =>
  (value, path) =>
    value === undefined ? null : check(value, path);

const sampling = record({ temperatureQ16: count, topK: count, topPQ16: count, seed: text });
const emulator = record({ program: text, args: listOf(text), package: text });

/** Fields as manifest.ts documents them; what is in the plan, quantize/plan.ts checks. */
const manifest = record({
  model: record({
    name: text,
    family: text,
    architecture: text,
    parameters: count,
    sha256: text,
    source: text,
  }),
  target: text,
  targetSpec: record({
    name: text,
    arch: oneOf(architectures),
    kernelSet: oneOf(kernelSets),
    hostFeatures: listOf(text),
    emulator: orNull(emulator),
  }),
  plan: record({ name: text, rules: listOf(record({ match: text, format: text })) }),
  context: count,
  build: record({ id: text, quantizedSha256: text }),
  quantization: record({
    method: text,
    bitsPerWeight: number,
    folds: orAbsent(mapOf(text)),
    calibration: record({ source: text, sha256: text, tokens: count }),
    ranges: mapOf(number),
  }),
  tensors: listOf(
    record({ name: text, format: oneOf(formatNames), rows: count, columns: count, bytes: count }),
  ),
  ops: listOf(record({ section: text, index: count, kind: text, name: text })),
  logitsFrac: count,
  tokenizer: is('boolean'),
  singleFile: is('boolean'),
  bareMetal: orAbsent(
    record({
      ...{ board: text, image: text, imageBytes: count, loadAddress: count },
      ...{ memoryBytes: count, stackBytes: count },
    }),
  ),
  memory: record({
    ...{ blobBytes: count, weightsBytes: count, arenaBytes: count, stateBytes: count },
    ...{ kvCacheBytes: count, activationBytes: count, stackBytes: orNull(count) },
  }),
  code: orNull(record({ textBytes: count, rodataBytes: count, dataBytes: count, bssBytes: count })),
  toolchain: orNull(record({ version: text, flags: listOf(text) })),
  golden: listOf(
    record({
      ...{ prompt: orNull(text), promptIds: listOf(count), sampling, tokenIds: listOf(count) },
      logitsDigest: text,
    }),
  ),
  files: mapOf(text),
});

/** The first field that is missing or not what it must be, in words; null where all are there. */
export function manifestFault(value: unknown): string | null {
  return manifest(value, '');
}
