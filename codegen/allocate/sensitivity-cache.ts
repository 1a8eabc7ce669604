/** Sensitivities that were measured before: what an interrupted build has found is there when it starts again. */
import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { codeHash } from '../code-hash.js';
import { cacheFolder } from '../compile/cache-folder.js';
import { allOps } from '../graph/graph.js';
import {
  allocatedFormats,
  type Sensitivity,
  type SensitivityInput,
  type SensitivityStore,
} from './sensitivity.js';

/** A line of JSON a matrix, in the user's cache folder, under a name made of everything that the numbers depend on. */
export class SensitivityCache implements SensitivityStore {
  readonly #found = new Map<string, Sensitivity>();

  constructor(
    readonly path: string,
    private writable = true,
  ) {
    for (const one of readLines(path)) this.#found.set(one.matrix, one);
  }

  get size(): number {
    return this.#found.size;
  }

  get(matrix: string): Sensitivity | undefined {
    return this.#found.get(matrix);
  }

  put(found: Sensitivity): void {
    this.#found.set(found.matrix, found);
    if (!this.writable) return;
    try {
      mkdirSync(dirname(this.path), { recursive: true });
      appendFileSync(this.path, `${JSON.stringify(found)}\n`);
    } catch {
      this.writable = false; // a cache that cannot be kept is done without
    }
  }
}

/** The cache of one problem. `modelSha256` stands for the weights. */
export function openSensitivityCache(
  { graph, groupSize, calibration, probe }: SensitivityInput,
  modelSha256: string,
): SensitivityCache {
  const hash = createHash('sha256');
  const shapes = graph.matrices.map(({ name, rows, columns }) => [name, rows, columns]);
  hash.update(JSON.stringify([codeHash(), modelSha256, graph.context, groupSize, allocatedFormats, shapes]));
  hash.update(JSON.stringify([...allOps(graph)])); // with the transforms before projections
  for (const windows of [calibration, probe]) hash.update(JSON.stringify(windows));
  return new SensitivityCache(join(cacheFolder(), 'sensitivities', `${hash.digest('hex')}.jsonl`));
}

/** A cache may be cut or damaged: what is no sensitivity is left out. */
function readLines(path: string): Sensitivity[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line) => {
    try {
      const value: unknown = JSON.parse(line);
      return isSensitivity(value) ? [value] : [];
    } catch {
      return [];
    }
  });
}

function isSensitivity(value: unknown): value is Sensitivity {
  if (typeof value !== 'object' || value === null) return false;
  const { matrix, divergence } = value as Record<string, unknown>;
  if (typeof matrix !== 'string' || typeof divergence !== 'object' || divergence === null) return false;
  const numbers = divergence as Record<string, unknown>;
  return allocatedFormats.every((format) => {
    const number = numbers[format];
    return typeof number === 'number' && Number.isFinite(number) && number >= 0;
  });
}
