import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { runTool } from '../../codegen/compile/run-tool.js';
import { findToolchain } from '../../codegen/compile/toolchain.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { findTarget, targets } from '../../targets/index.js';
import { compilerFamilies, type Target } from '../../targets/target.js';
import { validateTarget } from '../../targets/validate-target.js';

async function refusal(nameOrPath: string): Promise<EmbedError> {
  try {
    await findTarget(nameOrPath);
  } catch (error) {
    if (error instanceof EmbedError) {
      return error;
    }
    throw error;
  }
  throw new Error(`${nameOrPath} was accepted`);
}

t.test('every target is consistent', async (t) => {
  const names = targets.flatMap(({ name, aliases }) => [name, ...aliases]);
  t.equal(new Set(names).size, names.length, 'no name or alias twice');
  for (const target of targets) {
    t.test(target.name, async (t) => {
      t.same(
        validateTarget(JSON.parse(JSON.stringify(target)), target.name),
        target,
        'plain data that a file could hold',
      );
      const { arch, triple, toolchains, emulator, cacheBytes, kernelModeVectors, hostFeatures, kernelSet } =
        target;
      t.ok(triple.startsWith(`${arch}-`), 'the triple is of the architecture');
      t.same(
        [...new Set(toolchains.map(({ family }) => family))].sort(),
        ['clang', 'gcc', 'zig'],
        'all families of compilers',
      );
      t.equal(toolchains.at(-1)?.family, 'zig', 'what can be fetched comes last');
      for (const { family, command, cpuFlags, binutils, packages } of toolchains) {
        t.match(command[0], new RegExp(`${family}$`), 'a program of its family');
        const own = { gcc: [], clang: [`--target=${triple}`], zig: ['cc', `--target=${arch}-linux-musl`] };
        t.same(command.slice(1), own[family], 'told the triple where it makes code for several');
        t.ok(
          cpuFlags.some((flag) => /^-m(?:arch|cpu)=/.test(flag)),
          'the instruction set is named',
        );
        for (const [tool, alternatives] of Object.entries(binutils ?? {})) {
          t.equal(alternatives[0], `${triple}-${tool}`, 'the tools of the triple come first');
        }
        t.equal(packages.length > 0, family !== 'zig', 'says what to install');
      }
      t.equal(emulator?.program, `qemu-${arch}`);
      t.equal(emulator?.args[0], '-cpu', 'the emulated CPU is chosen');
      t.ok(0 < cacheBytes.l1d && cacheBytes.l1d < cacheBytes.l2, 'caches grow');
      t.ok(cacheBytes.l3 === 0 || cacheBytes.l2 < cacheBytes.l3);
      t.equal(
        kernelModeVectors,
        kernelSet === 'swar' ? null : { x86_64: 'kernel_fpu', aarch64: 'kernel_neon', riscv64: null }[arch],
        'what kernel mode needs around vector code of this architecture',
      );
      t.ok(hostFeatures.length > 0);
    });
  }
});

/** Macros by which compilers say what they may use, and the names of the same things in /proc/cpuinfo. */
const featureMacros: Readonly<Record<string, string>> = {
  __AVX__: 'avx',
  __AVX2__: 'avx2',
  __AVX512F__: 'avx512f',
  __AVXVNNI__: 'avx_vnni',
  __BMI__: 'bmi1',
  __BMI2__: 'bmi2',
  __F16C__: 'f16c',
  __FMA__: 'fma',
  __LZCNT__: 'abm',
  __MOVBE__: 'movbe',
  __ARM_NEON: 'asimd',
  __ARM_FEATURE_CRC32: 'crc32',
  __ARM_FEATURE_DOTPROD: 'asimddp',
  __ARM_FEATURE_ATOMICS: 'atomics',
  __riscv_mul: 'm',
  __riscv_atomic: 'a',
  __riscv_fdiv: 'f',
  __riscv_compressed: 'c',
  __riscv_vector: 'v',
  __riscv_zba: 'zba',
  __riscv_zbb: 'zbb',
  __riscv_zbs: 'zbs',
};

t.test('the features asked of the host are those the compiler may use', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'em-features-'));
  t.teardown(() => rm(folder, { recursive: true }));
  for (const target of targets) {
    for (const prefer of compilerFamilies) {
      const toolchain = await findToolchain(target, { prefer }).catch(() => undefined);
      const title = `${target.name} with ${prefer}`;
      t.test(title, { skip: toolchain === undefined && `no ${prefer}` }, async (t) => {
        const { command, candidate, environment } = toolchain!;
        const source = join(folder, 'empty.c');
        await writeFile(source, '');
        const ask = [...command, ...candidate.cpuFlags, '-dM', '-E', source];
        const { stdout } = await runTool(ask, {
          environment: { ...environment, ZIG_LOCAL_CACHE_DIR: folder },
        });
        const used = Object.entries(featureMacros)
          .filter(([macro]) => new RegExp(`^#define ${macro} [^0]`, 'm').test(stdout))
          .map(([, feature]) => feature);
        const implied = ['i', 'd', 'sse2']; // no RISC-V with f and Linux, no x86-64 is without
        t.same(used.sort(), target.hostFeatures.filter((feature) => !implied.includes(feature)).sort());
      });
    }
  }
});

t.test('names and aliases', async (t) => {
  for (const target of targets) {
    for (const name of [target.name, ...target.aliases]) {
      t.equal(await findTarget(name), target, name);
    }
  }
  const mistyped = await refusal('cortex-a27');
  t.equal(mistyped.code, 'EM1203');
  t.match(mistyped.fix, /cortex-a72/);
  const strange = await refusal('vax');
  t.equal(strange.code, 'EM1203');
  for (const { name } of targets) {
    t.match(strange.why, new RegExp(name));
  }
});

const rk3399 = (fields: string): string => `
  import { targets, type Target } from 'embed-model';
  const a72 = targets.find((target) => target.name === 'cortex-a72')!;
  const target = { ...a72, name: 'rk3399', aliases: [], ${fields} } satisfies Target;
  export default target;
`;

t.test("a user's own files", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'em-targets-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = async (name: string, text: string) => {
    const path = join(folder, name);
    await writeFile(path, text);
    return path;
  };
  const a72 = await findTarget('a72');
  const expected: Target = { ...a72, name: 'rk3399', aliases: [], description: 'mine' };

  t.test('TypeScript that spreads a built-in target', async (t) => {
    t.same(await findTarget(await file('rk.target.ts', rk3399("description: 'mine'"))), expected);
  });
  t.test('JavaScript', async (t) => {
    const text = `import { targets } from 'embed-model';
      export const target = { ...targets[1], name: 'rk3399', aliases: [], description: 'mine' };`;
    t.same(await findTarget(await file('rk.target.js', text)), expected);
    t.same(await findTarget(await file('rk.target.mjs', text)), expected);
  });
  t.test('lines that end in CR LF, a path with spaces and letters beyond ASCII', async (t) => {
    const place = join(folder, 'mein Gerät, 板');
    await mkdir(place);
    const text = rk3399("description: 'mine'").replaceAll('\n', '\r\n');
    const path = join(place, 'rk.target.ts');
    await writeFile(path, text);
    t.same(await findTarget(path), expected);
    await writeFile(path, 'export default {\r\n  name: ,\r\n};\r\n');
    t.match((await refusal(path)).where, /板.*rk\.target\.ts:2$/);
    const json = join(place, 'rk.json');
    await writeFile(json, `\u{feff}${JSON.stringify(expected, null, 2)}`.replaceAll('\n', '\r\n'));
    t.same(await findTarget(json), expected, 'with the mark that some editors put first');
  });
  t.test('JSON', async (t) => {
    t.same(await findTarget(await file('rk.json', JSON.stringify(expected))), expected);
  });

  const json = (change: Record<string, unknown>) => JSON.stringify({ ...expected, ...change });
  const [gcc] = expected.toolchains;
  const bad: readonly (readonly [string, string, string, RegExp])[] = [
    ['a syntax error', 'a.target.ts', 'export default {\n  name: ,\n};', /a\.target\.ts:2.*[Ee]xpression/],
    ['no export', 'b.target.ts', 'const target = 1;', /exports no target/],
    ['an export that is no object', 'c.target.ts', 'export default 7;', /must be an object, not 7/],
    [
      'an import of the file system',
      'd.target.ts',
      "import fs from 'node:fs'; export default fs;",
      /nothing else/,
    ],
    ['a call of process', 'e.target.ts', 'process.exit(0);', /process is not defined/],
    [
      'a way to the realm outside',
      'f.target.ts',
      "const f = (require as any).constructor('return process')(); f.exit(0);",
      /cannot be evaluated/,
    ],
    ['an endless loop', 'g.target.ts', 'for (;;) {}', /not done after 3 s/],
    [
      'an endless loop after await',
      'h.target.ts',
      '(async () => { await 1; for (;;) {} })();',
      /exports no target/,
    ],
    [
      'too much memory',
      'x.target.ts',
      'const a: unknown[] = []; for (;;) a.push(new Array(1e5).fill(a));',
      /memory/,
    ],
    ['an exception', 'i.target.ts', "throw new Error('no idea')", /no idea/],
    ['not JSON', 'j.json', '{', /not JSON/],
    ['null', 'k.json', 'null', /must be an object, not null/],
    ['a missing field', 'l.json', '{"name": "x"}', /aliases is missing/],
    [
      'a mistyped field',
      'm.json',
      json({ kernalSet: 'portable' }),
      /no field kernalSet; did you mean kernelSet/,
    ],
    ['a wrong architecture', 'n.json', json({ arch: 'arm' }), /arch must be one of.*"aarch64".*not "arm"/],
    [
      'a wrong kernel set',
      'o.json',
      json({ kernelSet: 'sve' }),
      /kernelSet must be one of "portable", "avx2", "swar", "neon"/,
    ],
    ['no toolchains', 'p.json', json({ toolchains: [] }), /toolchains must be a list of at least 1/],
    [
      'a flag that is none',
      'q.json',
      json({ toolchains: [{ ...gcc, cpuFlags: ['-O2', 'rm'] }] }),
      /toolchains\[0\]\.cpuFlags\[1\] must be a flag.*"rm"/,
    ],
    [
      'a tool missing',
      'r.json',
      json({ toolchains: [{ ...gcc, binutils: { ar: ['ar'] } }] }),
      /toolchains\[0\]\.binutils\.objdump is missing/,
    ],
    [
      'a gcc without tools',
      'w.json',
      json({ toolchains: [{ ...gcc, binutils: null }] }),
      /toolchains\[0\]\.binutils must be null for zig and for nothing else/,
    ],
    [
      'a cache of text',
      's.json',
      json({ cacheBytes: { l1d: '32K', l2: 0, l3: 0 } }),
      /cacheBytes\.l1d must be/,
    ],
    [
      'a negative cache',
      't.json',
      json({ cacheBytes: { l1d: -1, l2: 0, l3: 0 } }),
      /cacheBytes\.l1d must be/,
    ],
    ['a name with a path', 'u.json', json({ name: '../x' }), /name must be a name of lower case/],
    [
      'an inherited field',
      'v.json',
      json({ __proto__: null }).replace('"name":"rk3399",', ''),
      /name is missing/,
    ],
  ];
  for (const [what, name, text, says] of bad) {
    t.test(what, async (t) => {
      const error = await refusal(await file(name, text));
      t.equal(error.code, 'EM1205', error.message);
      t.match(`${error.where}: ${error.why}`, says);
    });
  }

  t.test('files that cannot be read', async (t) => {
    await mkdir(join(folder, 'folder.json'));
    const large = await file('large.json', ' '.repeat(300_000));
    for (const [path, says] of [
      [join(folder, 'absent.json'), /ENOENT/],
      [join(folder, 'folder.json'), /not a file/],
      [large, /300000 bytes/],
    ] as const) {
      const error = await refusal(path);
      t.equal(error.code, 'EM1205');
      t.match(error.why, says);
    }
  });
});
