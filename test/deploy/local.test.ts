import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { compileLibrary, linkRunner } from '../../codegen/compile/compile.js';
import { findProgram } from '../../codegen/compile/find-program.js';
import { findToolchain } from '../../codegen/compile/toolchain.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { parseCpuinfo, readHostCpu, whyNotNative } from '../../deploy/host-cpu.js';
import { findLauncher, type LocalRunOptions, runLocally } from '../../deploy/local.js';
import { findTarget, targets } from '../../targets/index.js';
import type { Target } from '../../targets/target.js';

const folder = await mkdtemp(join(tmpdir(), 'em-local-'));
t.teardown(() => rm(folder, { recursive: true }));

const program = `#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "echo") == 0) {
        for (int i = 2; i < argc; i++) printf("%s|", argv[i]);
    } else if (strcmp(what, "exit") == 0) {
        fputs("bad luck\\n", stderr);
        return 42;
    } else if (strcmp(what, "crash") == 0) {
        raise(SIGSEGV);
    } else if (strcmp(what, "slow") == 0) {
        for (int i = 0; i < 100; i++) {
            printf("tick %d\\n", i);
            fprintf(stderr, "tock %d\\n", i);
            fflush(stdout);
            sleep(1);
        }
    } else if (strcmp(what, "stubborn") == 0) {
        signal(SIGTERM, SIG_IGN);
        puts("ready");
        fflush(stdout);
        for (;;) pause();
    } else if (strcmp(what, "much") == 0) {
        for (int i = 0; i < 40000; i++) fputs("0123456789abcdef0123456789abcdef\\n", stderr);
        for (int i = 0; i < 40000; i++) puts("0123456789abcdef0123456789abcdef");
    } else if (strcmp(what, "zbb") == 0) {
#ifdef __riscv
        unsigned long bits;
        __asm__ volatile(".option push\\n.option arch, +zbb\\nclz %0, %1\\n.option pop" : "=r"(bits) : "r"(1L));
        printf("%lu", bits);
#endif
    } else {
        puts("hello");
    }
    return 0;
}
`;

/** The program, compiled for the target; undefined where no compiler is installed. */
async function build(target: Target): Promise<string | undefined> {
  const toolchain = await findToolchain(target).catch(() => undefined);
  if (toolchain === undefined) {
    return undefined;
  }
  const root = await mkdtemp(join(folder, `${target.name}-`));
  await writeFile(join(root, 'main.c'), program);
  await writeFile(join(root, 'lib.c'), 'int em_nothing(int x) { return x; }\n');
  const common = { target, toolchain, root, includeDirs: [], outDir: root };
  const library = await compileLibrary({ ...common, sources: [join(root, 'lib.c')] });
  const output = join(root, 'program');
  await linkRunner({ ...common, sources: [join(root, 'main.c')], library, output });
  return output;
}

async function run(
  target: Target,
  binary: string,
  args: readonly string[],
  rest: Partial<LocalRunOptions> = {},
) {
  let stdout = '';
  const result = await runLocally(target, binary, args, {
    timeoutMs: 30_000,
    onStdoutChunk: (chunk) => {
      stdout += chunk.toString();
    },
    ...rest,
  });
  return { ...result, stdout };
}

async function refusal(action: Promise<unknown>): Promise<EmbedError> {
  const result = await action.catch((error: unknown) => error);
  if (result instanceof EmbedError) {
    return result;
  }
  throw result instanceof Error ? result : new Error('nothing was refused');
}

const host = await readHostCpu();

// All of it before the first test: tap is done when nothing is left to do.
const binaries = new Map<Target, string | undefined>();
const emulators = new Map<Target, string | undefined>();
for (const target of targets) {
  binaries.set(target, await build(target));
  emulators.set(target, await findProgram(target.emulator!.program));
}

for (const target of targets) {
  const binary = binaries.get(target);
  const emulator = emulators.get(target);
  const isNative = whyNotNative(target, host) === undefined;
  const noCompiler = binary === undefined && `no compiler for ${target.name}`;

  t.test(`${target.name} on the host`, { skip: noCompiler || (!isNative && 'not native') }, async (t) => {
    const result = await run(target, binary!, [], { mode: 'host' });
    t.match(result, {
      stdout: 'hello\n',
      exitCode: 0,
      emulated: false,
      aborted: false,
      endedBySignal: undefined,
    });
    t.equal((await run(target, binary!, [])).emulated, false, 'the host is preferred');
  });

  const noEmulator = emulator === undefined && `no ${target.emulator!.program}`;
  t.test(`${target.name} under emulation`, { skip: noCompiler || noEmulator }, async (t) => {
    const mode = 'emulator';
    t.match(await run(target, binary!, [], { mode }), { stdout: 'hello\n', exitCode: 0, emulated: true });
    const words = ['a b', '$HOME', '', '--help', 'ü'];
    const echoed = await run(target, binary!, ['echo', ...words], { mode });
    t.equal(echoed.stdout, words.map((word) => `${word}|`).join(''));
    t.match(await run(target, binary!, ['exit'], { mode }), { exitCode: 42, stderr: 'bad luck\n' });
    const crashed = await run(target, binary!, ['crash'], { mode });
    t.match(crashed, { exitCode: undefined, endedBySignal: 'SIGSEGV' });
    if (target.arch === 'riscv64') {
      const extended = await run(target, binary!, ['zbb'], { mode });
      const expected = target.name.endsWith('-zb')
        ? { exitCode: 0, stdout: '63' }
        : { endedBySignal: 'SIGILL', stdout: '' };
      t.match(extended, expected, 'the emulated CPU has what the target promises, and no more');
    }
  });

  t.test(`${target.name} where nothing runs it`, async (t) => {
    const lonely: Target = { ...target, emulator: { ...target.emulator!, program: 'qemu-absent' } };
    const emulated = await refusal(findLauncher(lonely, 'emulator'));
    t.equal(emulated.code, 'EM3201');
    t.match(emulated.why, /qemu-absent is not in PATH/);
    t.match(emulated.fix, /apt-get install qemu-user/);
    t.equal((await refusal(findLauncher({ ...target, emulator: null }, 'emulator'))).code, 'EM3201');
    if (!isNative) {
      const native = await refusal(findLauncher(target, 'host'));
      t.equal(native.code, 'EM3201');
      t.match(native.why, new RegExp(`not ${target.arch}`));
      t.match((await refusal(findLauncher(lonely))).why, /qemu-absent/);
    }
  });
}

const native = targets.find((target) => whyNotNative(target, host) === undefined);
const binary = native && binaries.get(native);
t.test('a program that does not end by itself', { skip: !binary && 'nothing native' }, async (t) => {
  t.test('too slow', async (t) => {
    const chunks: { at: number; text: string }[] = [];
    const start = performance.now();
    const error = await refusal(
      runLocally(native!, binary!, ['slow'], {
        timeoutMs: 1500,
        onStdoutChunk: (chunk) => chunks.push({ at: performance.now() - start, text: chunk.toString() }),
      }),
    );
    t.equal(error.code, 'EM3203');
    t.match(error.why, /after 1\.5 s; last words on stderr: tock 1/);
    t.match(chunks[0]?.text, /^tick 0/);
    t.ok(chunks[0]?.at < 1000, 'output came while it ran');
  });
  t.test('interrupted', async (t) => {
    const controller = new AbortController();
    const running = run(native!, binary!, ['slow'], { signal: controller.signal });
    await delay(300);
    controller.abort();
    t.match(await running, { aborted: true, endedBySignal: 'SIGTERM' });
    t.match(await run(native!, binary!, ['slow'], { signal: controller.signal }), { aborted: true });
  });
  t.test('interrupted, and not listening', async (t) => {
    const controller = new AbortController();
    const stubborn = await run(native!, binary!, ['stubborn'], {
      signal: controller.signal,
      onStdoutChunk: () => controller.abort(),
    });
    t.match(stubborn, { aborted: true, endedBySignal: 'SIGKILL' });
    t.ok(stubborn.wallMs > 1500, 'it had time to leave');
  });
});

t.test('much output', { skip: !binary && 'nothing native' }, async (t) => {
  const result = await run(native!, binary!, ['much']);
  t.equal(result.exitCode, 0);
  t.equal(result.stdout.length, 40_000 * 33);
  t.equal(result.stderr.length, 16 * 1024, 'only the last of stderr is kept');
});

t.test('what cannot be started', { skip: !native && 'nothing native' }, async (t) => {
  const text = join(folder, 'text');
  await writeFile(text, 'no program\n');
  for (const [path, reason] of [
    [join(folder, 'absent'), /ENOENT/],
    [text, /EACCES/],
    [folder, /EACCES/],
    [join(text, 'below'), /ENOTDIR/],
  ] as const) {
    const error = await refusal(runLocally(native!, path, [], { timeoutMs: 1000 }));
    t.equal(error.code, 'EM3202', error.message);
    t.match(error.why, reason);
  }
  const nul = await refusal(runLocally(native!, binary!, ['a\0b'], { timeoutMs: 1000 }));
  t.equal(nul.code, 'EM3202', 'an argument no program can get');
  const long = await refusal(runLocally(native!, binary!, ['x'.repeat(300_000)], { timeoutMs: 1000 }));
  t.equal(long.code, 'EM3202');
  t.match(long.why, /E2BIG/);
  t.ok(long.message.length < 1000, 'which the error does not repeat');
});

const cpuinfoX86 = `processor\t: 0
model name\t: Intel(R) Core(TM) i7-4770
flags\t\t: fpu sse2 avx avx2 bmi1 bmi2 f16c fma abm movbe
processor\t: 1
model name\t: Intel(R) Core(TM) i7-4770
flags\t\t: fpu sse2 avx avx2 bmi1 bmi2 f16c fma abm movbe
`;
const cpuinfoA72 =
  'processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\n\nModel\t\t: Raspberry Pi 4 Model B\n';
const cpuinfoU74 =
  'processor\t: 0\nhart\t\t: 1\nisa\t\t: rv64imafdc_zicntr_zba_zbb\nuarch\t\t: sifive,u74-mc\n';

t.test('what a CPU can do', async (t) => {
  const can = async (name: string, text: string) => {
    const target = await findTarget(name);
    return whyNotNative(target, { arch: target.arch, ...parseCpuinfo(text) });
  };
  t.equal(await can('x86_64-avx2', cpuinfoX86), undefined);
  t.equal(await can('cortex-a72', cpuinfoA72), undefined);
  t.equal(await can('riscv-u74', cpuinfoU74), undefined);
  t.equal(await can('riscv-u74-zb', cpuinfoU74), undefined);
  t.equal(await can('riscv-u74', cpuinfoU74.replace('imafdc', 'gc')), undefined, 'g stands for imafd');
  t.equal(parseCpuinfo(cpuinfoX86).model, 'Intel(R) Core(TM) i7-4770');
  t.equal(parseCpuinfo(cpuinfoA72).model, 'Raspberry Pi 4 Model B');
  t.equal(parseCpuinfo(cpuinfoU74).model, 'sifive,u74-mc');

  t.match(await can('riscv-u74-zb', cpuinfoU74.replace('_zbb', '')), /u74-mc\) has no zbb$/);
  t.match(await can('x86_64-avx2', cpuinfoX86.replaceAll(' avx2', '')), /i7-4770\) has no avx2$/);
  t.match(await can('x86_64-avx2', cpuinfoX86.replace(' avx2', '')), /has no avx2$/, 'every core needs it');
  t.match(await can('x86_64-avx2', ''), /has no avx, avx2,/, 'nothing known: nothing run');
  const a72 = await findTarget('a72');
  t.match(whyNotNative(a72, { arch: 'x86_64', ...parseCpuinfo(cpuinfoX86) }), /x86_64, not aarch64/);
  t.match(whyNotNative(a72, { arch: undefined, features: new Set(), model: '' }), /not aarch64/);
});
