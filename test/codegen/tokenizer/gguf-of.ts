/** A GGUF file with a vocabulary and no weights. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type Value, writeGguf } from '../checkpoint/gguf/gguf-writer.js';

/** Its path. */
export function ggufOf(t: Test, metadata: Record<string, Value>): string {
  const path = join(t.testdir(), 'vocabulary.gguf');
  writeFileSync(path, writeGguf(metadata, []).bytes);
  return path;
}
