/** The commands that make an image of the files of a bundle, for the build and for its dry run. */
import { join } from 'node:path';
import type { Target } from '../../targets/target.js';
import type { CompileOptions } from '../compile/compile.js';
import { findFirstProgram } from '../compile/find-program.js';
import type { Toolchain } from '../compile/toolchain.js';
import { EmbedError } from '../diagnostics/error.js';
import type { BareMetalBoard } from './bare-metal-board.js';

/** What is compiled from the files of a bundle, whose paths with slashes are `names`, to objects below `objects`. */
export const imageCompilation = (
  bundle: string,
  names: readonly string[],
  target: Target,
  toolchain: Toolchain,
  objects: string,
): CompileOptions => ({
  ...{ target, toolchain, root: bundle, outDir: objects },
  sources: names
    .filter((name) => /^(src|bare-metal)\/.*\.[cS]$/.test(name))
    .map((name) => join(bundle, name)),
  includeDirs: [join(bundle, 'src'), join(bundle, 'bare-metal')],
  hotSources: ['model.c', 'em_sample.c'],
});

export interface ImageLink {
  /** Paths of the file with addresses and of the image; the same where the board boots ELF files. */
  readonly elf: string;
  readonly image: string;
  /** They run in the folder of the bundle. */
  readonly commands: readonly (readonly string[])[];
}

/**
 * Links objects, by way of an ELF file in `scratch` where the board wants the bytes of memory. Throws EM3004 where nothing
 * can make those, EM3005 for zig.
 */
export async function imageLink(
  bundle: string,
  board: BareMetalBoard,
  { triple }: Target,
  toolchain: Toolchain,
  objects: readonly string[],
  scratch: string,
): Promise<ImageLink> {
  if (toolchain.family === 'zig') {
    const why = 'images without an operating system are linked with gcc or clang';
    throw new EmbedError('EM3005', { where: 'zig', why, fix: 'give --toolchain gcc or clang' });
  }
  const image = join(bundle, 'bare-metal', board.image.name);
  const elf = board.image.format === 'elf' ? image : join(scratch, 'image.elf');
  const link = [
    ...toolchain.command,
    ...toolchain.candidate.cpuFlags,
    ...(toolchain.family === 'gcc' ? [] : ['-Wno-unused-command-line-argument']),
    ...['-nostdlib', '-static', '-no-pie', '-s', '-Wl,--gc-sections', '-Wl,--build-id=none'],
    ...['-Wl,-T,bare-metal/link.ld', ...objects, '-o', elf],
  ];
  if (board.image.format === 'elf') return { elf, image, commands: [link] };
  const names = [`${triple}-objcopy`, 'llvm-objcopy'];
  const objcopy = await findFirstProgram(names);
  if (objcopy === undefined) {
    throw new EmbedError('EM3004', { where: names.join(' or '), why: 'it makes the image of the ELF file' });
  }
  return { elf, image, commands: [link, [objcopy, '-O', 'binary', elf, image]] };
}
