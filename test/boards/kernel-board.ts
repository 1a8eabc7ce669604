/** Virtual boards with a kernel module in their initramfs, and what the module is built with. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Target } from '../../targets/target.js';
import type { BoardImage, Machine } from './qemu-board.js';

const script = join(
  dirname(fileURLToPath(import.meta.url)),
  '..',
  '..',
  '..',
  'test',
  'boards',
  'make-headers.sh',
);

/** Headers of the kernel of a board, made of Debian packages once and kept beside it; the reason where that is not possible. */
export function boardHeaders({ arch }: Machine, image: BoardImage): { readonly folder: string } | string {
  const release = readFileSync(join(dirname(image.kernel), 'version'), 'utf8').trim();
  const recipe = createHash('sha256').update(readFileSync(script)).digest('hex').slice(0, 12);
  const folder = join(dirname(dirname(image.kernel)), `headers-${release}-${recipe}`);
  const build = join(folder, 'build');
  if (existsSync(build)) return { folder: build };
  const made = spawnSync(script, [arch, release, folder], { encoding: 'utf8', timeout: 600_000 });
  if (made.status === 0) return { folder: build };
  const said = made.stderr.trim().split('\n').slice(-2).join(' / ');
  return `no kernel headers of ${release} from Debian: ${made.error?.message ?? said}`;
}

/** The image with more files: path on the board to path here. `scratch`: a folder to make it in. */
export function withFiles(
  image: BoardImage,
  files: Readonly<Record<string, string>>,
  scratch: string,
): BoardImage {
  const tree = join(scratch, 'overlay');
  for (const [to, from] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, to)), { recursive: true });
    copyFileSync(from, join(tree, to));
  }
  const archive = execFileSync('sh', ['-c', 'find . | cpio -o -H newc --quiet -R 0:0 | gzip -1'], {
    cwd: tree,
    maxBuffer: 1 << 28,
  });
  // The kernel unpacks archives that follow one another into the same root.
  const initramfs = join(scratch, 'initramfs.gz');
  writeFileSync(initramfs, Buffer.concat([readFileSync(image.initramfs), archive]));
  return { ...image, initramfs };
}

/** A static program for the board, of one C file. */
export function compileForBoard({ triple }: Target, source: string, out: string): void {
  const flags = ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-O2', '-static'];
  execFileSync(`${triple}-gcc`, [...flags, '-o', out, source]);
}
