/** The program of a bundle, compiled again as it was and linked with the names of its functions. */
import { join } from 'node:path';
import { compileLibrary, linkRunner } from '../../../codegen/compile/compile.js';
import { modelCompilation } from '../../../codegen/compile/model-library.js';
import type { Toolchain } from '../../../codegen/compile/toolchain.js';
import type { Target } from '../../../targets/target.js';

/**
 * Makes <folder>/em-run, which differs from the bundle's in its symbols only, and returns its path. `files` are the bundle's.
 * Throws EM3002.
 */
export async function linkNamedProgram(
  bundle: string,
  files: readonly string[],
  { target, toolchain }: { readonly target: Target; readonly toolchain: Toolchain },
  folder: string,
): Promise<string> {
  const work = modelCompilation(bundle, files, target, toolchain, folder);
  const library = await compileLibrary(work.library);
  const output = join(folder, 'em-run');
  return (await linkRunner({ ...work.runner, library, output, keepSymbols: true })).binary;
}
