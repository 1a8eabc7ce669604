import type { Diagnostic } from './catalog.js';

/** EM30xx: toolchains. EM31xx: the audit of what they made. EM32xx: running it here. */
export const toolchainDiagnostics = {
  EM3001: {
    what: 'no C compiler for this target',
    fix: 'run embed-model doctor to see what to install',
    exit: 3,
  },
  EM3002: {
    what: 'a tool of the toolchain failed',
    fix: 'run the command shown by hand to see all it says; embed-model doctor checks the toolchain',
    exit: 3,
  },
  EM3003: {
    what: 'a tool of the toolchain did not finish in time',
    fix: 'run the command shown by hand; if it finishes there, this machine was too busy: try again',
    exit: 3,
  },
  EM3004: {
    what: 'a program the toolchain needs is not installed',
    fix: 'run embed-model doctor to see what to install',
    exit: 3,
  },
  EM3005: {
    what: 'compiler cannot be used for this target',
    fix: 'give --toolchain gcc, clang, zig or the path of a compiler that makes code for this target',
    exit: 3,
  },
  EM3006: {
    what: 'the machine code cannot be understood',
    fix: 'use another --toolchain, or report the line shown together with the versions embed-model doctor prints',
    exit: 3,
  },
  EM3007: {
    what: 'interrupted while a tool of the toolchain was running',
    fix: 'run the command again',
    exit: 3,
  },
  EM3008: {
    what: 'compiler cannot link programs for this target',
    fix: 'install the C library of the target for this compiler, or use --toolchain zig',
    exit: 3,
  },
  EM3009: {
    what: 'no C compiler for this target, and none may be fetched',
    fix: 'install a compiler, or build without --no-fetch',
    exit: 3,
  },
  EM3010: {
    what: 'zig could not be fetched',
    fix: 'check the network and the settings of npm, or install a C compiler: embed-model doctor says which',
    exit: 3,
  },
  EM3101: {
    what: 'compiled model needs functions that a freestanding program does not have',
    fix: 'call nothing but em_ functions; a name with two leading underscores is a compiler helper: avoid the operation',
    exit: 1,
  },
  EM3102: {
    what: 'compiled model contains floating-point instructions',
    fix: 'remove the float or double that the function shown computes with',
    exit: 1,
  },
  EM3103: {
    what: 'compiled model has writable data',
    fix: 'make the variable const, or move it into memory that the caller owns',
    exit: 1,
  },
  EM3104: {
    what: 'stack use of the compiled model has no bound',
    fix: 'remove variable-length arrays and alloca from the function shown',
    exit: 1,
  },
  EM3105: {
    what: 'compiled model calls itself recursively',
    fix: 'turn the recursion shown into a loop',
    exit: 1,
  },
  EM3106: {
    what: 'compiled model makes an indirect call that is not declared',
    fix: 'declare what the function shown can call, and mark it noinline so that the call stays in it',
    exit: 1,
  },
  EM3107: {
    what: 'address of a function is taken, but no declared call leads to it',
    fix: 'add the function to the declared targets of the indirect call that reaches it',
    exit: 1,
  },
  EM3201: {
    what: 'this machine cannot run programs of the target',
    fix: 'build with --no-run, and run bin/em-run of the bundle on a board',
    exit: 3,
  },
  EM3202: {
    what: 'program could not be started',
    fix: 'check that the file exists, is executable, and that its folder is not mounted noexec',
    exit: 3,
  },
  EM3204: {
    what: 'the runner failed',
    fix: 'run embed-model verify on the bundle; if that fails too, build it again',
    exit: 3,
  },
  EM3205: {
    what: 'the runner is of another build than the bundle says',
    fix: 'build the bundle again, or copy all of it',
    exit: 1,
  },
  EM3206: {
    what: 'the runner refused its input',
    fix: 'see the reason; embed-model inspect shows what the bundle takes',
    exit: 2,
  },
  EM3207: {
    what: 'trace of the runner is damaged',
    fix: 'make room in the temporary folder and try again; build the bundle again if that does not help',
    exit: 3,
  },
  EM3203: {
    what: 'program did not finish in time',
    fix: 'ask for fewer --tokens; an emulated target is 10 to 100 times slower than the board',
    exit: 3,
  },
} as const satisfies Record<`EM3${string}`, Diagnostic>;
