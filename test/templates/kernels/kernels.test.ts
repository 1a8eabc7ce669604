/**
 * Conformance: the C kernels give the results of the TypeScript reference bit for bit, wherever they run. EMBED_TEST_FULL=1 draws
 * more cases.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { LogitsDigest } from '../../../codegen/arithmetic/digest.js';
import { Sampler } from '../../../codegen/arithmetic/sampler.js';
import { kernelSetOf } from '../../../codegen/layout/kernel-set.js';
import { readHostCpu, whyNotNative } from '../../../deploy/host-cpu.js';
import { aarch64Swar } from '../../../targets/aarch64-swar.js';
import { cortexA72 } from '../../../targets/cortex-a72.js';
import { riscvU74 } from '../../../targets/riscv-u74.js';
import { type KernelSet, kernelSets } from '../../../targets/target.js';
import { x86_64Avx2 } from '../../../targets/x86_64-avx2.js';
import { x86_64Swar } from '../../../targets/x86_64-swar.js';
import { Vectors } from '../../codegen/arithmetic/vectors.js';
import { compile, freestandingFlags, onPath, root, runtimeFolder, warningFlags } from '../c-compiler.js';
import { attentionCases, headCases } from './attention-cases.js';
import { neuronCases, residueCases } from './field-cases.js';
import {
  elementwiseCases,
  fixedPointCases,
  hadamardCases,
  layerNormCases,
  normCases,
  quantizeCases,
} from './function-cases.js';
import { fuzzCases } from './fuzz-cases.js';
import { high, type KernelCase, low } from './kernel-case.js';
import { linearCases } from './linear-cases.js';

const here = join(root, 'test', 'templates', 'kernels');
const kernels = join(root, 'templates', 'kernels');
const folder = mkdtempSync(join(tmpdir(), 'embed-model-kernels-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
t.setTimeout(1_100_000); // a bound for a busy machine: some seconds for each platform otherwise

interface Platform {
  readonly name: string;
  /** The kernel set that it is made for. */
  readonly set: KernelSet;
  readonly compiler: string;
  readonly flags: readonly string[];
  readonly emulator: readonly string[];
}

/** No vectors, as in kernel mode. */
const scalar = ['-mgeneral-regs-only'];
const gccForU74 = riscvU74.toolchains[0]!;
const sanitizers = ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
const x86 = { set: 'avx2', emulator: [] } as const;
const avx2 = ['-march=x86-64-v3', '-mtune=haswell'];
const u74 = [...gccForU74.cpuFlags, ...gccForU74.tuningFlags];
const gccForA72 = cortexA72.toolchains[0]!;
const a72 = {
  set: 'neon',
  compiler: gccForA72.command[0]!,
  emulator: ['qemu-aarch64', '-cpu', 'cortex-a72'],
} as const;
const platforms: readonly Platform[] = [
  { name: 'gcc on the host', set: 'portable', compiler: 'gcc', flags: ['-O3'], emulator: [] },
  { name: 'clang on the host', set: 'portable', compiler: 'clang', flags: ['-O3'], emulator: [] },
  { name: 'gcc with sanitizers', set: 'portable', compiler: 'gcc', flags: sanitizers, emulator: [] },
  { name: 'clang with sanitizers', set: 'portable', compiler: 'clang', flags: sanitizers, emulator: [] },
  {
    name: 'Cortex-A72 under qemu-aarch64',
    set: 'portable',
    compiler: 'aarch64-linux-gnu-gcc',
    flags: ['-O3', '-static', '-mcpu=cortex-a72'],
    emulator: ['qemu-aarch64', '-cpu', 'cortex-a72'],
  },
  {
    name: 'RISC-V U54 under qemu-riscv64',
    set: 'portable',
    compiler: 'riscv64-linux-gnu-gcc',
    flags: ['-O3', '-static', '-march=rv64gc', '-mabi=lp64d'],
    emulator: ['qemu-riscv64', '-cpu', 'sifive-u54'],
  },
  { name: 'AVX2, gcc', compiler: 'gcc', flags: [...avx2, '-O2', '-ftree-vectorize'], ...x86 },
  { name: 'AVX2, clang', compiler: 'clang', flags: [...avx2, '-O2'], ...x86 },
  { name: 'AVX2, gcc with sanitizers', compiler: 'gcc', flags: [...avx2, ...sanitizers], ...x86 },
  { name: 'AVX2, clang with sanitizers', compiler: 'clang', flags: [...avx2, ...sanitizers], ...x86 },
  {
    name: 'AVX2 under qemu-x86_64',
    set: 'avx2',
    compiler: 'gcc',
    flags: [...avx2, '-O3', '-static'],
    emulator: ['qemu-x86_64', '-cpu', 'max'],
  },
  { name: 'SWAR, gcc on the host', set: 'swar', compiler: 'gcc', flags: ['-O2', ...scalar], emulator: [] },
  {
    name: 'SWAR, clang on the host',
    set: 'swar',
    compiler: 'clang',
    flags: ['-O2', ...scalar],
    emulator: [],
  },
  {
    name: 'SWAR, gcc with sanitizers',
    set: 'swar',
    compiler: 'gcc',
    flags: [...scalar, ...sanitizers],
    emulator: [],
  },
  {
    name: 'SWAR, clang with sanitizers',
    set: 'swar',
    compiler: 'clang',
    flags: [...scalar, ...sanitizers],
    emulator: [],
  },
  {
    name: 'SWAR on RISC-V U54 under qemu-riscv64',
    set: 'swar',
    compiler: 'riscv64-linux-gnu-gcc',
    flags: ['-O2', '-static', ...u74],
    emulator: ['qemu-riscv64', '-cpu', 'sifive-u54'],
  },
  {
    name: 'NEON, gcc, under qemu-aarch64',
    ...a72,
    flags: ['-O2', '-static', ...gccForA72.cpuFlags, ...gccForA72.tuningFlags],
  },
  {
    name: 'NEON, clang, under qemu-aarch64',
    ...a72,
    compiler: 'clang',
    flags: ['--target=aarch64-linux-gnu', '-O2', '-static', ...gccForA72.cpuFlags],
  },
  {
    name: 'NEON, gcc with traps on undefined behaviour, under qemu-aarch64',
    ...a72,
    flags: [
      '-O1',
      '-static',
      '-mcpu=cortex-a72',
      '-fsanitize=undefined',
      '-fsanitize-undefined-trap-on-error',
    ],
  },
  {
    name: 'SWAR on x86-64 without AVX under qemu-x86_64',
    set: 'swar',
    compiler: 'gcc',
    flags: ['-O2', '-static', ...x86_64Swar.toolchains[0]!.cpuFlags, ...scalar],
    emulator: ['qemu-x86_64', '-cpu', 'qemu64'],
  },
  {
    name: 'SWAR on Armv8-A under qemu-aarch64',
    set: 'swar',
    compiler: 'aarch64-linux-gnu-gcc',
    flags: ['-O2', '-static', ...aarch64Swar.toolchains[0]!.cpuFlags, ...scalar],
    emulator: ['qemu-aarch64', '-cpu', 'cortex-a53'],
  },
];

const noAvx2 = whyNotNative(x86_64Avx2, await readHostCpu());

/** Compilers of the architectures that a kernel set is for, with the flags it asks for. */
const compilersOf: Readonly<Record<KernelSet, { compilers: readonly string[]; flags: readonly string[] }>> = {
  portable: { compilers: ['gcc', 'clang', 'aarch64-linux-gnu-gcc', 'riscv64-linux-gnu-gcc'], flags: [] },
  swar: { compilers: ['gcc', 'clang', 'aarch64-linux-gnu-gcc', 'riscv64-linux-gnu-gcc'], flags: [] },
  avx2: { compilers: process.arch === 'x64' ? ['gcc', 'clang'] : [], flags: avx2 },
  neon: { compilers: ['aarch64-linux-gnu-gcc'], flags: ['-mcpu=cortex-a72'] },
};

/** What a platform lacks here, as tap's skip takes it: a command, or the libraries to link with. */
function missing({ set, compiler, flags, emulator }: Platform): string | false {
  if (set === 'avx2' && process.arch !== 'x64') return 'no x86-64 host';
  if (set === 'avx2' && emulator.length === 0 && noAvx2 !== undefined) return noAvx2;
  const lacking = [compiler, ...emulator.slice(0, 1)].filter((command) => !onPath(command));
  if (lacking.length > 0) return `no ${lacking.join(', ')}`;
  const probe = join(folder, 'probe.c');
  writeFileSync(probe, 'int main(void) { return 0; }\n');
  const { status } = spawnSync(compiler, [...flags, probe, '-o', join(folder, 'probe')], { stdio: 'ignore' });
  return status !== 0 && `${compiler} cannot link with ${flags.join(' ')}`;
}

function build(
  platform: Platform,
  driver: string,
  sources: readonly string[],
  defines: readonly string[],
): string {
  const program = join(folder, `${driver}-${platforms.indexOf(platform)}${defines.join('')}`);
  const includes = [
    join(here, 'model'),
    kernels,
    join(kernels, kernelSetOf(platform.set).folder),
    runtimeFolder,
  ].map((path) => `-I${path}`);
  const files = [join(here, `${driver}.c`), ...sources];
  const args = [...platform.flags, ...warningFlags, ...includes, ...defines, ...files, '-o', program];
  compile({ name: platform.name, command: platform.compiler, flags: [], emulator: [] }, args);
  return program;
}

/** Runs a driver on all cases and names those that it answers otherwise than the reference. */
function differences(platform: Platform, program: string, cases: readonly KernelCase[]): string[] {
  const input = Buffer.from(Int32Array.from(cases.flatMap((c) => c.input)).buffer);
  const [command, ...args] = [...platform.emulator, program];
  const output = execFileSync(command!, args, { input, maxBuffer: 2 ** 28, stdio: ['pipe', 'pipe', 'pipe'] });
  const words = new Int32Array(output.buffer.slice(output.byteOffset, output.byteOffset + output.length));
  let at = 0;
  const wrong: string[] = [];
  for (const { name, expected } of cases) {
    const i = expected.findIndex((word, index) => word !== words[at + index]);
    if (i >= 0) wrong.push(`${name}: word ${i} is ${words[at + i]}, expected ${expected[i]}`);
    at += expected.length;
  }
  if (at !== words.length) wrong.push(`${words.length} words came back instead of ${at}`);
  return wrong;
}

const commonCases = [
  ...fixedPointCases(),
  ...elementwiseCases(),
  ...quantizeCases(),
  ...normCases(),
  ...layerNormCases(),
  ...residueCases(),
  ...hadamardCases(),
  ...neuronCases(),
  ...attentionCases(),
];
const casesOf = new Map(
  kernelSets.map((set): [KernelSet, KernelCase[]] => [
    set,
    [...commonCases, ...linearCases(kernelSetOf(set))],
  ]),
);

const full = process.env.EMBED_TEST_FULL === '1';
const seeds = full ? Array.from({ length: 12 }, (_, i) => i + 1) : [1];
const drawnPerSeed = full ? 300 : 90;

/** Drawn once for the platforms of a set; anew for each of them where there are many. */
const drawn = new Map<KernelSet, KernelCase[]>();
function drawnCases(set: KernelSet, seed: number): KernelCase[] {
  const cases = drawn.get(set) ?? fuzzCases(kernelSetOf(set), seed, drawnPerSeed);
  if (!full) drawn.set(set, cases);
  return cases;
}

/** Logits with ties, plateaus and cliffs, under settings of every kind. */
function sampleCases(vocabulary: number, logitsFrac: number): KernelCase[] {
  const vectors = new Vectors(7n);
  const draws = 6;
  const temperatures = [0, 1, 655, 52429, 65536, 131072, 2 ** 32 - 1];
  return Array.from({ length: 140 }, (_, i): KernelCase => {
    const logits = vectors.activations(vocabulary, Math.floor(i / 7));
    if (i % 2 === 0) logits.set(logits.map((v) => (v >> 26) * 2 ** Math.min(logitsFrac, 20)));
    const temperatureQ16 = temperatures[i % 7]!;
    const topK = [0, 1, 40, vocabulary, vocabulary + 9][i % 5]!;
    const topPQ16 = [0, 65536, 58982, 1][i % 4]!;
    const seed = vectors.uint64(64);
    const sampler = new Sampler({ temperatureQ16, topK, topPQ16, seed });
    const digest = new LogitsDigest();
    digest.add(logits);
    const folded = BigInt(`0x${digest.hex()}`);
    const ids = Array.from({ length: draws }, () => sampler.sample(logits, logitsFrac));
    return {
      name: `temperature ${temperatureQ16}, top-k ${topK}, top-p ${topPQ16}, case ${i}`,
      input: [temperatureQ16 | 0, topK, topPQ16, low(seed), high(seed), draws, ...logits],
      expected: [low(folded), high(folded), ...ids, low(sampler.state), high(sampler.state)],
    };
  });
}

const samplers = [
  { vocabulary: 300, logitsFrac: 20 },
  { vocabulary: 1, logitsFrac: 0 },
  { vocabulary: 5000, logitsFrac: 30 },
].map((shape) => ({ ...shape, cases: sampleCases(shape.vocabulary, shape.logitsFrac) }));

for (const platform of platforms) {
  const skip = missing(platform);

  t.test(`kernels: ${platform.name}`, { skip }, async (t) => {
    const program = build(platform, 'kernel_driver', [], []);
    const cases = casesOf.get(platform.set)!;
    t.strictSame(differences(platform, program, cases), [], `${cases.length} cases`);
    for (const seed of seeds) {
      const cases = drawnCases(platform.set, seed);
      t.strictSame(
        differences(platform, program, cases),
        [],
        `${cases.length} cases drawn from seed ${seed}`,
      );
    }
  });

  const plain = !platform.flags.includes(sanitizers[2]!);
  t.test(
    `attention with a constant head size: ${platform.name}`,
    { skip: skip || (!plain && 'covered without sanitizers') },
    async (t) => {
      for (const headDim of [48, 67]) {
        const program = build(platform, 'kernel_driver', [], [`-DEM_HEAD_DIM=${headDim}`]);
        t.strictSame(differences(platform, program, headCases(headDim)), [], `heads of ${headDim}`);
      }
    },
  );

  t.test(`sampling and digest: ${platform.name}`, { skip }, async (t) => {
    for (const { vocabulary, logitsFrac, cases } of samplers) {
      const defines = [`-DEM_VOCAB=${vocabulary}`, `-DEM_LOGITS_FRAC=${logitsFrac}`];
      const program = build(platform, 'sample_driver', [join(runtimeFolder, 'em_sample.c')], defines);
      t.strictSame(
        differences(platform, program, cases),
        [],
        `${cases.length} cases of ${vocabulary} logits`,
      );
    }
  });
}

t.test('cases reach the places they are made for', async (t) => {
  const named = (pattern: RegExp) => casesOf.get('portable')!.filter(({ name }) => pattern.test(name));
  t.ok(named(/accumulator shift [12]/).length >= 6, 'accumulators beyond int32');
  t.ok(named(/saturating/).every(({ expected }) => expected.every((v) => Math.abs(v) === 0x7fffffff)));
  const results = named(/^w\d+t? \d+ x \d+,/).flatMap(({ expected }) => expected);
  const plain = results.filter((v) => v !== 0 && Math.abs(v) < 0x7fffffff);
  t.ok(plain.length > results.length * 0.6, 'most products neither vanish nor saturate');
});

t.test('headers compile alone without a warning', async (t) => {
  const headersIn = (path: string) => readdirSync(join(kernels, path)).filter((name) => name.endsWith('.h'));
  for (const set of kernelSets) {
    const own = kernelSetOf(set).folder;
    const folders = [join(here, 'model'), kernels, join(kernels, own), runtimeFolder];
    const others = kernelSets.flatMap((name) => kernelSetOf(name).shared);
    const unused = (name: string) => others.includes(name) && !kernelSetOf(set).shared.includes(name);
    const common = headersIn('').filter((name) => !unused(name));
    const headers = [...common, ...headersIn(own).map((name) => join(own, name))];
    const { compilers, flags } = compilersOf[set];
    for (const compiler of compilers) {
      t.test(`${set}, ${compiler}`, { skip: !onPath(compiler) && `no ${compiler}` }, async (t) => {
        const unit = join(folder, 'unit.c');
        const includes = folders.map((path) => `-I${path}`);
        const output = ['-c', unit, '-o', join(folder, 'unit.o')];
        const args = [...freestandingFlags, ...flags, ...includes, '-O2', ...output];
        for (const header of headers) {
          writeFileSync(unit, `#include "${header}"\n`);
          const build = () => compile({ name: compiler, command: compiler, flags: [], emulator: null }, args);
          t.doesNotThrow(build, header);
        }
      });
    }
  }
});
