/** Virtual boards with a kernel module in their initramfs, and what the module is built with. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Target } from '../../targets/target.js';
import { madeOnce } from './board-cache.js';
import type { BoardImage, Machine } from './qemu-board.js';

/** Headers of the kernel of a board, made of Debian packages once; the reason where that is not possible. */
export function boardHeaders({ arch }: Machine, image: BoardImage): { readonly folder: string } | string {
  const release = readFileSync(join(dirname(image.kernel), 'version'), 'utf8').trim();
  const made = madeOnce({
    files: ['test/boards/make-headers.sh'],
    name: ['headers', release],
    args: (folder) => [arch, release, folder],
    makes: ['build'],
  });
  return typeof made === 'string' ? made : { folder: join(made.folder, 'build') };
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
