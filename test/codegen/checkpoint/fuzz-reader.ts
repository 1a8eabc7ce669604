/**
 * Damaged files for a reader, all from fixed seeds: cut at every boundary of a structure, numbers there set to 0, -1
 * and their largest value, random changes, random bytes behind the real mark, and nothing but random bytes. A reader
 * must read or refuse each by number: no other exception, no long work, no memory beyond what the files are worth.
 */
import { writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { fuzzInputs } from './fuzz-inputs.js';

export interface FuzzSubject {
  readonly name: string;
  readonly bytes: Buffer;
  /** Offsets of fields and structures: the interesting places. */
  readonly boundaries: readonly number[];
}

const slowest = 1000;
const mostGrowth = 512 << 20;

/** Numerical Recipes' linear congruential generator: the same inputs on every machine. */
export function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** `read` opens the file at `path` and reads all of it. A cut file must not be read as if it were whole. */
export function fuzzReader(
  t: Test,
  path: string,
  subjects: readonly FuzzSubject[],
  read: (path: string) => void,
): void {
  const before = process.resourceUsage().maxRSS;
  let [refused, accepted] = [0, 0];
  const attempt = (what: string, bytes: Uint8Array, mayPass: boolean) => {
    writeFileSync(path, bytes);
    const { ms, error } = tryReading(path, read);
    // Another process may have had the core: only what is slow twice is slow.
    if (ms > slowest && tryReading(path, read).ms > slowest) t.fail(`${what}: took ${ms} ms`);
    if (error === null) accepted++;
    else refused++;
    if (error !== null && !(error instanceof EmbedError)) {
      writeFileSync(`${path}.failed`, bytes);
      t.fail(`${what}: ${error instanceof Error ? error.stack : String(error)}`);
    }
    if (error === null && !mayPass) t.fail(`${what}: was read as if nothing was wrong`);
  };
  for (const { name, bytes, boundaries } of subjects) {
    attempt(name, bytes, true);
    for (const at of new Set(boundaries.flatMap((at) => [at - 1, at, at + 1]))) {
      if (at >= 0 && at < bytes.length) attempt(`${name} cut at ${at}`, bytes.subarray(0, at), false);
    }
    for (const at of boundaries) {
      for (const [kind, value] of extremes) {
        if (at + value.length > bytes.length) continue;
        const changed = Buffer.from(bytes);
        changed.set(value, at);
        attempt(`${name} with ${kind} at ${at}`, changed, true);
      }
    }
  }
  for (let i = 0; i < fuzzInputs; i++) {
    const next = generator(20251120 + i);
    const { name, bytes, boundaries } = subjects[next(subjects.length)]!;
    attempt(`${name}, change ${i}`, change(bytes, boundaries, next), true);
  }
  t.ok(refused > fuzzInputs / 4, `${refused} refused, ${accepted} read`);
  const growth = (process.resourceUsage().maxRSS - before) * 1024;
  t.ok(growth < mostGrowth, `memory grew by ${Math.round(growth / 1e6)} MB`);
}

const extremes: readonly (readonly [string, Uint8Array])[] = [
  ['0 in a byte', Uint8Array.of(0)],
  ['255 in a byte', Uint8Array.of(255)],
  ['0 in 4 bytes', new Uint8Array(4)],
  ['-1 in 4 bytes', new Uint8Array(4).fill(255)],
  ['largest in 4 bytes', Uint8Array.of(255, 255, 255, 127)],
  ['0 in 8 bytes', new Uint8Array(8)],
  ['-1 in 8 bytes', new Uint8Array(8).fill(255)],
  ['largest in 8 bytes', Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 127)],
  ['2^60 in 8 bytes', Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 16)],
];

function tryReading(path: string, read: (path: string) => void): { ms: number; error: unknown } {
  const start = performance.now();
  try {
    read(path);
    return { ms: performance.now() - start, error: null };
  } catch (error) {
    return { ms: performance.now() - start, error };
  }
}

function change(bytes: Buffer, boundaries: readonly number[], next: (below: number) => number): Buffer {
  const kind = next(10);
  if (kind === 0) return randomBytes(next(600), next);
  if (kind === 1) {
    const kept = next(64);
    return Buffer.concat([bytes.subarray(0, kept), randomBytes(next(600), next)]);
  }
  const changed = Buffer.from(bytes);
  const place = () => {
    const near =
      boundaries.length > 0 && next(3) > 0
        ? boundaries[next(boundaries.length)]! + next(9)
        : next(bytes.length);
    return Math.min(near, bytes.length - 1);
  };
  for (let times = 1 + next(3); times > 0; times--) {
    const at = place();
    if (kind < 6) changed[at]! ^= 1 << next(8);
    else if (kind < 8) changed.set(extremes[next(extremes.length)]![1].subarray(0, bytes.length - at), at);
    else changed.set(randomBytes(Math.min(1 + next(8), bytes.length - at), next), at);
  }
  if (kind !== 9) return changed;
  const cut = place();
  return Buffer.concat([changed.subarray(0, cut), randomBytes(next(5), next), changed.subarray(cut)]);
}

function randomBytes(length: number, next: (below: number) => number): Buffer {
  return Buffer.from(Array.from({ length }, () => next(256)));
}
