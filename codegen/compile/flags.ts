/** Compiler flags, as data. What differs from target to target stands in targets/. */
import type { ToolchainCandidate } from '../../targets/target.js';

/** Always on, for the library and the runner. */
export const warningFlags: readonly string[] = [
  '-Wall',
  '-Wextra',
  '-Wconversion',
  '-Wvla',
  '-Wframe-larger-than=2048',
];

/**
 * What zig's driver turns on where nothing is said of it: checks of undefined behaviour (in unoptimised code),
 * frame pointers, debug information. It hands clang a -c even where -S was asked for, of which clang warns.
 */
const zigFlags: readonly string[] = [
  '-fno-sanitize=all',
  '-fomit-frame-pointer',
  '-g0',
  '-Wno-unused-command-line-argument',
];

/**
 * What makes an object depend on its sources alone, and on nothing the distribution switched on in its
 * compiler. `root` is the folder the compiler runs in.
 */
const reproducibleFlags = (candidate: ToolchainCandidate, root: string): readonly string[] => [
  '-std=c11',
  `-ffile-prefix-map=${root}=.`,
  '-fno-stack-protector',
  // Off in clang unless asked for; for some architectures it does not know the flag.
  ...(candidate.family === 'gcc' ? ['-fno-stack-clash-protection'] : []),
  ...(candidate.family === 'zig' ? zigFlags : []),
  '-fno-common',
  '-ffunction-sections',
  '-fdata-sections',
];

/**
 * Freestanding: no libc but the four functions every compiler assumes. Position independent, so that the
 * archive links into whatever a user builds. Without jump tables every indirect jump is a call, so that the
 * audit can tell them apart. No unwind tables: nothing in the library throws or is stepped through on the
 * board.
 */
export const libraryFlags = (candidate: ToolchainCandidate, root: string): readonly string[] => [
  ...candidate.cpuFlags,
  ...candidate.tuningFlags,
  candidate.optimization,
  ...reproducibleFlags(candidate, root),
  ...warningFlags,
  '-ffreestanding',
  '-fPIE',
  '-fno-jump-tables',
  '-fno-asynchronous-unwind-tables',
  '-fno-unwind-tables',
];

/** For what is not run for every token, behind the other flags: the last optimization level counts. */
export const coldFlags: readonly string[] = ['-Os', '-fno-tree-vectorize'];

/**
 * The hosted runner is ordinary C with a libc; it only drives the library, so its size matters more than its
 * speed.
 */
export const runnerFlags = (candidate: ToolchainCandidate, root: string): readonly string[] => [
  ...candidate.cpuFlags,
  '-O2',
  ...reproducibleFlags(candidate, root),
  ...warningFlags,
  '-pthread',
];

/** clang warns of every flag that the step at hand has no use for. */
const unusedIsFine = (candidate: ToolchainCandidate): readonly string[] =>
  candidate.family === 'gcc' ? [] : ['-Wno-unused-command-line-argument'];

/**
 * From an assembly listing to an object: what the compiler was told stands in the listing, but for the
 * instruction set.
 */
export const assemblerFlags = (candidate: ToolchainCandidate): readonly string[] => [
  ...candidate.cpuFlags,
  '-g0', // a line table would name the folder
  ...unusedIsFine(candidate),
];

/** One static file, by default without symbols, and without an id that would differ from link to link. */
export const linkFlags = (candidate: ToolchainCandidate, keepSymbols = false): readonly string[] => [
  ...candidate.cpuFlags,
  ...unusedIsFine(candidate),
  '-static',
  '-pthread',
  '-Wl,--gc-sections',
  '-Wl,--build-id=none',
  ...(keepSymbols ? [] : ['-s']),
];
