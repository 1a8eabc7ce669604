/** The folder of a configured kernel that modules are built with. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join, resolve } from 'node:path';
import type { Architecture, Target } from '../../targets/target.js';
import { EmbedError } from '../diagnostics/error.js';

export interface KernelHeaders {
  readonly folder: string;
  /** As `uname -r` says it. */
  readonly release: string;
  /** Compiler that the kernel's own makefile asks for, without the prefix of cross compilers; null: gcc. */
  readonly compiler: string | null;
}

const configNames: Record<Architecture, string> = {
  x86_64: 'CONFIG_X86_64',
  aarch64: 'CONFIG_ARM64',
  riscv64: 'CONFIG_RISCV',
};

/** What make calls the architectures. */
export const kernelArchitectures: Record<Architecture, string> = {
  x86_64: 'x86_64',
  aarch64: 'arm64',
  riscv64: 'riscv',
};

const textOf = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
};

/** Throws EM5002 where `folder` is not of a configured kernel for the target's architecture. */
export function readKernelHeaders(folder: string, { arch }: Pick<Target, 'arch'>): KernelHeaders {
  const path = resolve(folder);
  const refuse = (why: string) => new EmbedError('EM5002', { where: path, why });
  if (!existsSync(join(path, 'Makefile'))) throw refuse('there is no Makefile');
  const config = textOf(join(path, 'include', 'config', 'auto.conf'));
  // What uname says is in utsrelease.h: Debian's kernel.release has the version of the sources instead (6.1.192 for 6.1.0-56-amd64).
  const made = textOf(join(path, 'include', 'generated', 'utsrelease.h')) ?? '';
  const name =
    /^#define UTS_RELEASE "([^"]+)"/m.exec(made)?.[1] ??
    textOf(join(path, 'include', 'config', 'kernel.release'))?.trim();
  if (config === null || name === undefined || name === '') {
    throw refuse('include/config has no auto.conf or no kernel.release: the kernel is not configured');
  }
  const has = (option: string) => config.includes(`\n${option}=y\n`);
  if (!has(configNames[arch])) throw refuse(`it is a kernel for another architecture than ${arch}`);
  if (!has('CONFIG_MODULES')) throw refuse('it is a kernel without loadable modules');
  // Debian's headers say which compiler their kernel was made with.
  const asked = /^CC = .*\$\(CROSS_COMPILE\)(\S+)$/m.exec(textOf(join(path, '.kernelvariables')) ?? '');
  return { folder: path, release: name, compiler: asked?.[1] ?? null };
}

/** Headers of the kernel that this machine runs; null where it has none, or is another machine than the target. */
export function runningKernelHeaders(target: Pick<Target, 'arch'>): KernelHeaders | null {
  const folder = `/lib/modules/${release()}/build`;
  if (!existsSync(folder)) return null;
  try {
    return readKernelHeaders(folder, target);
  } catch (error) {
    if (error instanceof EmbedError) return null;
    throw error;
  }
}
