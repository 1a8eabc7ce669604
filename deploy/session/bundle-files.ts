/** The two files of a bundle that a board needs, and the name they have there. */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileSha256 } from '../../codegen/bundle/bundle-files.js';
import type { Manifest } from '../../codegen/bundle/manifest.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';

export interface BoardFile {
  /** On the board. */
  readonly name: 'em-run' | 'model.blob';
  readonly local: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface BoardBundle {
  readonly files: readonly BoardFile[];
  /** Name of the folder on the board: 32 hex digits of a SHA-256 over the hashes of the files. */
  readonly key: string;
  readonly bytes: number;
}

/** Throws EM1401 where a file is missing or is not what the manifest says. */
export function boardBundle(bundle: string, manifest: Manifest): BoardBundle {
  const paths = [
    ['em-run', 'bin/em-run'] as const,
    ...(manifest.singleFile ? [] : [['model.blob', 'model.blob'] as const]),
  ];
  const files = paths.map(([name, path]): BoardFile => {
    const local = join(bundle, path);
    try {
      const sha256 = fileSha256(local);
      if (sha256 !== manifest.files[path]) {
        throw new EmbedError('EM1401', { where: local, why: 'its SHA-256 is not the one in manifest.json' });
      }
      return { name, local, bytes: statSync(local).size, sha256 };
    } catch (cause) {
      if (cause instanceof EmbedError) throw cause;
      throw new EmbedError('EM1401', {
        where: local,
        why: cause instanceof Error ? cause.message : String(cause),
        cause,
      });
    }
  });
  const hash = createHash('sha256');
  for (const { name, sha256 } of files) hash.update(`${name} ${sha256}\n`);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return { files, key: hash.digest('hex').slice(0, 32), bytes };
}
