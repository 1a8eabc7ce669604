/** The toolchains of all targets that this machine has, for tests that go through them. */
import { findToolchain, type Toolchain } from '../../../codegen/compile/toolchain.js';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { targets } from '../../../targets/index.js';
import { type CompilerFamily, compilerFamilies, type Target } from '../../../targets/target.js';

export interface Installed {
  /** For the name of a test. */
  readonly title: string;
  readonly target: Target;
  readonly family: CompilerFamily;
  /** undefined where it is not installed: the test is skipped. */
  readonly toolchain: Toolchain | undefined;
  /** Reason to skip, as tap takes it. */
  readonly skip: string | false;
}

export async function installedToolchains(): Promise<Installed[]> {
  const all: Installed[] = [];
  for (const target of targets) {
    for (const family of compilerFamilies) {
      const toolchain = await findToolchain(target, { prefer: family }).catch((error: unknown) => {
        if (error instanceof EmbedError && ['EM3001', 'EM3004'].includes(error.code)) {
          return undefined;
        }
        throw error;
      });
      const skip = toolchain === undefined && `no ${family} for ${target.name}`;
      all.push({ title: `${target.name} with ${family}`, target, family, toolchain, skip });
    }
  }
  return all;
}
