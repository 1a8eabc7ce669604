/** The files of a bundle that a board needs, and the name they have there. */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileSha256 } from '../../codegen/bundle/bundle-files.js';
import type { Manifest } from '../../codegen/bundle/manifest.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';

export interface BoardFile {
  /** On the board. */
  readonly name: 'em-run' | 'model.blob' | 'embed_model.ko';
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

/** Program and weights. Throws EM1401 where a file is missing or is not what the manifest says. */
export function boardBundle(bundle: string, manifest: Manifest): BoardBundle {
  const program = boardFile(bundle, manifest, 'em-run', 'bin/em-run');
  const weights = manifest.singleFile ? [] : [boardFile(bundle, manifest, 'model.blob', 'model.blob')];
  return bundleOf([program, ...weights]);
}

/** The kernel module, which only an installation needs; null where the bundle has none that is compiled. Throws as boardBundle. */
export function boardModule(bundle: string, manifest: Manifest): BoardBundle | null {
  if ((manifest.kernelModule?.kernel ?? null) === null) return null;
  return bundleOf([boardFile(bundle, manifest, 'embed_model.ko', 'module/embed_model.ko')]);
}

/** Several as one, with a key over all files. */
export const bundleOf = (files: readonly BoardFile[]): BoardBundle => {
  const hash = createHash('sha256');
  for (const { name, sha256 } of files) hash.update(`${name} ${sha256}\n`);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return { files, key: hash.digest('hex').slice(0, 32), bytes };
};

function boardFile(
  bundle: string,
  { files }: Pick<Manifest, 'files'>,
  name: BoardFile['name'],
  path: string,
): BoardFile {
  const local = join(bundle, path);
  try {
    const sha256 = fileSha256(local);
    if (sha256 !== files[path]) {
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
}
