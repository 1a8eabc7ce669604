/** C compilers and emulators of this machine, for tests that compile templates. */
import { type ExecFileSyncOptionsWithBufferEncoding, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where package.json lies, from dist/test/templates. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
export const runtimeFolder = join(root, 'templates', 'runtime');
export const runnerFolder = join(root, 'templates', 'runner');

export interface Compiler {
  readonly name: string;
  readonly command: string;
  readonly flags: readonly string[];
  /** What runs its programs here: nothing for the host, an emulator's command, or null where there is none. */
  readonly emulator: readonly string[] | null;
}

/** Warnings under which every emitted file compiles cleanly. */
export const warningFlags = ['-std=c11', '-Wall', '-Wextra', '-Werror', '-Wconversion', '-Wvla'];
export const freestandingFlags = [...warningFlags, '-Wframe-larger-than=2048', '-ffreestanding'];
export const sanitizerFlags = ['-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

const hostIsX86 = process.arch === 'x64';
const candidates: Compiler[] = [
  { name: 'gcc', command: 'gcc', flags: [], emulator: [] },
  { name: 'clang', command: 'clang', flags: [], emulator: [] },
  {
    name: 'gcc for Cortex-A72',
    command: 'aarch64-linux-gnu-gcc',
    flags: ['-mcpu=cortex-a72'],
    emulator: emulator('qemu-aarch64', 'cortex-a72'),
  },
  {
    name: 'gcc for RISC-V U74',
    command: 'riscv64-linux-gnu-gcc',
    flags: ['-march=rv64gc', '-mabi=lp64d'],
    emulator: emulator('qemu-riscv64', 'sifive-u54'),
  },
];

/** Those that are installed. */
export const compilers = candidates.filter(({ command }) => onPath(command));
export const hostCompiler = compilers.find(({ command }) => command === 'gcc' || command === 'clang');

function emulator(command: string, cpu: string): readonly string[] | null {
  return hostIsX86 && onPath(command) ? [command, '-cpu', cpu] : null;
}

export function onPath(command: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, command)));
}

/** Runs the compiler; what it complains about is in the error. */
export function compile(compiler: Compiler, args: readonly string[]): void {
  run([compiler.command, ...compiler.flags, ...args]);
}

/** Runs a program and returns its standard output; a failure throws with its standard error. */
export function run(command: readonly string[], options: ExecFileSyncOptionsWithBufferEncoding = {}): string {
  const [program, ...args] = command;
  const output = execFileSync(program, args, {
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  });
  return output.toString('utf8');
}
