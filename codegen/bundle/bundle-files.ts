/** Writes and hashes the files of a bundle. Text goes through a FileSystemHost, so that a tree can also be made in memory. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { FileSystemHost } from '@ts-morph/common';
import { unwritable } from './output-folder.js';

/** Writes text files, by path relative to root; folders are made as needed. Throws EM1301. */
export function writeTexts(host: FileSystemHost, root: string, files: ReadonlyMap<string, string>): void {
  for (const [path, text] of files) {
    const target = join(root, path);
    try {
      host.mkdirSync(join(target, '..'));
      host.writeFileSync(target, text);
    } catch (cause) {
      throw unwritable(target, cause);
    }
  }
}

/** SHA-256 of a file in hex, read in blocks. */
export function fileSha256(path: string): string {
  const hash = createHash('sha256');
  const block = new Uint8Array(1 << 20);
  const handle = openSync(path, 'r');
  try {
    for (let read = readSync(handle, block); read > 0; read = readSync(handle, block))
      hash.update(block.subarray(0, read));
  } finally {
    closeSync(handle);
  }
  return hash.digest('hex');
}

/** SHA-256 of every file below root, by path with slashes, sorted. */
export function treeHashes(root: string): Record<string, string> {
  const paths: string[] = [];
  const walk = (folder: string) => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) walk(path);
      else paths.push(path);
    }
  };
  walk('');
  return Object.fromEntries(paths.sort().map((path) => [path, fileSha256(join(root, path))]));
}
