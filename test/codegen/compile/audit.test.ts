import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { type Audit, type AuditOptions, auditLibrary } from '../../../codegen/compile/audit.js';
import type { DeclaredCalls } from '../../../codegen/compile/call-graph.js';
import { compileLibrary, linkRunner } from '../../../codegen/compile/compile.js';
import { findProgram } from '../../../codegen/compile/find-program.js';
import type { Toolchain } from '../../../codegen/compile/toolchain.js';
import type { DiagnosticCode } from '../../../codegen/diagnostics/catalog.js';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { runLocally } from '../../../deploy/local.js';
import { type Installed, installedToolchains } from './installed.js';

const data = fileURLToPath(new URL('../../../../test/data/compile/', import.meta.url));
const nothing: DeclaredCalls = { indirect: {}, hooks: {} };

interface Case {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  readonly code: DiagnosticCode;
  /** What the error must say, so that a reader finds the place. */
  readonly says: RegExp;
  readonly declared?: DeclaredCalls;
  readonly entryPoints?: readonly string[];
}

/** Each breaks one rule and no other. */
const broken: readonly Case[] = [
  {
    name: 'a float multiplication',
    files: { 'a.c': 'float em_f(float a, float b) { return a * b; }' },
    code: 'EM3102',
    says: /a\.o: em_f: v?f?mul/,
  },
  {
    name: 'a conversion from integer to double',
    files: { 'a.c': 'void em_f(double *a, long b) { *a = (double)b; }' },
    code: 'EM3102',
    says: /em_f: (?:v?cvt|[su]cvtf|fcvt)/,
  },
  {
    name: 'a comparison of doubles',
    files: { 'a.c': 'int em_f(const double *a) { return a[0] < a[1]; }' },
    code: 'EM3102',
    says: /em_f: (?:v?u?com|fcmp|flt|fld)/,
  },
  {
    name: 'a variable-length array',
    files: {
      'a.c': 'int em_f(int n) { volatile char a[n]; a[0] = 1; return a[n - 1]; }',
    },
    code: 'EM3104',
    says: /em_f.*stack pointer/,
  },
  {
    name: 'recursion',
    files: {
      'a.c': 'int em_f(volatile int *p) { return *p < 2 ? 1 : em_f(p) * em_f(p + 1); }',
    },
    code: 'EM3105',
    says: /em_f -> em_f/,
  },
  {
    name: 'recursion through two files',
    files: {
      'a.c': 'int em_b(volatile int *p); int em_a(volatile int *p) { return *p ? em_b(p) + *p : 0; }',
      'b.c': 'int em_a(volatile int *p); int em_b(volatile int *p) { return *p ? em_a(p) ^ *p : 1; }',
    },
    code: 'EM3105',
    says: /em_a -> em_b -> em_a|em_b -> em_a -> em_b/,
  },
  {
    name: 'recursion through a hook',
    files: {
      'a.c': `typedef void (*task)(void *);
              typedef void (*hook)(task, void *);
              void em_go(hook parallel_for, void *p);
              static void work(void *p) { em_go(*(hook *)p, p); }
              __attribute__((noinline)) void em_go(hook parallel_for, void *p) { parallel_for(work, p); }`,
    },
    code: 'EM3105',
    says: /em_go -> parallel_for -> work -> em_go|work -> em_go -> parallel_for -> work/,
    declared: {
      indirect: { em_go: ['parallel_for'] },
      hooks: { parallel_for: { stackBytes: 0, calls: ['work'] } },
    },
  },
  {
    name: 'an undeclared indirect call',
    files: { 'a.c': 'int em_f(int (*g)(int), int x) { return g(x) + 1; }' },
    code: 'EM3106',
    says: /em_f.*calls through a pointer/,
  },
  {
    name: 'an undeclared indirect tail call',
    files: { 'a.c': 'int em_f(int (*g)(int), int x) { return g(x + 1); }' },
    code: 'EM3106',
    says: /em_f.*calls through a pointer/,
  },
  {
    name: 'a function left out of the declaration',
    files: {
      'a.c': `static int one(int x) { return x + 1; }
              static int two(int x) { return x + 2; }
              int em_f(int (*g)(int), int x) { return g(x) + 1; }
              void *em_g(int x) { return x ? (void *)one : (void *)two; }`,
    },
    code: 'EM3107',
    says: /a\.o two$/,
    declared: { indirect: { em_f: ['one'] }, hooks: {} },
  },
  {
    name: 'a function whose address stands in a table only',
    files: {
      'a.c': `static int one(int x) { return x + 1; }
              int (*const em_table[])(int) = {one};`,
    },
    code: 'EM3107',
    says: /a\.o one$/,
  },
  {
    name: 'a variable with a value',
    files: { 'a.c': 'static int state = 5; int em_f(void) { return state++; }' },
    code: 'EM3103',
    says: /state \(\.s?data.*, 4 bytes\)/,
  },
  {
    name: 'a variable without a value',
    files: { 'a.c': 'static long state[4]; long *em_f(void) { return state; }' },
    code: 'EM3103',
    says: /state \(\.s?bss.*, 32 bytes\)/,
  },
  {
    name: 'a constructor',
    files: { 'a.c': '__attribute__((constructor)) static void em_f(void) { __asm__ volatile(""); }' },
    code: 'EM3103',
    says: /\d+ bytes/,
  },
  {
    name: 'a call to printf',
    files: {
      'a.c': 'int printf(const char *, ...); int em_f(int x) { return printf("%d", x); }',
    },
    code: 'EM3101',
    says: /printf/,
  },
  {
    name: 'a division the compiler has a helper for',
    files: {
      'a.c': '__extension__ typedef __int128 wide; wide em_f(wide a, wide b) { return a / b; }',
    },
    code: 'EM3101',
    says: /__divti3/,
  },
  {
    name: 'an entry point that does not exist',
    files: { 'a.c': 'int em_f(int x) { return x + 1; }' },
    code: 'EM3006',
    says: /em_init.*there is no function/,
    entryPoints: ['em_f', 'em_init'],
  },
];

async function auditSources(
  { target, toolchain }: Installed,
  files: Readonly<Record<string, string>>,
  rest: Partial<AuditOptions> = {},
): Promise<Audit> {
  const root = await mkdtemp(join(tmpdir(), 'em-audit-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      await writeFile(join(root, name), text);
    }
    const sources = Object.keys(files).map((name) => join(root, name));
    const library = await compileLibrary({
      target,
      toolchain: toolchain!,
      sources,
      includeDirs: [],
      root,
      outDir: join(root, 'obj'),
    });
    return await auditLibrary({ target, toolchain: toolchain!, library, declared: nothing, ...rest });
  } finally {
    await rm(root, { recursive: true });
  }
}

for (const installed of await installedToolchains()) {
  const { title, target, toolchain, skip } = installed;
  const isWithoutFloatRegisters = toolchain?.candidate.tuningFlags.includes('-mgeneral-regs-only') === true;

  t.test(`${title}: what breaks a rule is refused`, { skip }, async (t) => {
    for (const { name, files, code, says, declared = nothing, entryPoints } of broken) {
      const rest = { declared, ...(entryPoints === undefined ? {} : { entryPoints }) };
      const error = await auditSources(installed, files, rest).catch((reason: unknown) => reason);
      if (error instanceof EmbedError && code === 'EM3102' && isWithoutFloatRegisters) {
        // The compiler refuses, or calls a function for it, which nothing has.
        t.match(error.code, /^(?:EM3002|EM3101)$/, `${name}: ${error.message}`);
      } else if (error instanceof EmbedError) {
        t.equal(error.code, code, `${name}: ${error.message}`);
        t.match(`${error.where} ${error.why}`, says, name);
      } else {
        t.fail(`${name}: no numbered error`, { error });
      }
    }
  });

  t.test(`${title}: integer code passes, vectors included`, { skip }, async (t) => {
    const audit = await auditSources(installed, {
      'a.c': `#include <stddef.h>
        void *memcpy(void *restrict, const void *restrict, size_t);
        struct block { char bytes[4096]; };
        void em_copy(struct block *to, const struct block *from) { *to = *from; }
        int em_dot(const signed char *a, const signed char *b, int n) {
            int sum = 0;
            for (int i = 0; i < n; i++) sum += a[i] * b[i];
            return sum;
        }
        void em_zero(long *p) { for (int i = 0; i < 64; i++) p[i] = 0; }
        static const char *const names[] = {"one", "two"};
        const char *em_name(int i) { return names[i]; }
        int em_switch(int x, int y) {
            switch (x) {
            case 0: return y + 1;
            case 1: return y * 3;
            case 2: return y ^ 9;
            case 3: return y - 77;
            case 4: return y << 3;
            case 5: return y / 7;
            case 6: return y % 5;
            default: return 0;
            }
        }`,
    });
    t.equal(audit.functions, 5);
    t.ok(audit.instructions > 30, `${audit.instructions} instructions`);
    for (const name of audit.undefinedSymbols) {
      t.match(name, /^mem(?:cpy|set|move|cmp)$/);
    }
    t.same(audit.stack.uncounted, audit.undefinedSymbols);
    t.same(Object.keys(audit.stack.byEntry).sort(), ['em_copy', 'em_dot', 'em_name', 'em_switch', 'em_zero']);
  });

  t.test(`${title}: the stack measured by running is the stack computed`, { skip }, async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'em-stack-'));
    t.teardown(() => rm(root, { recursive: true }));
    for (const name of ['chain.c', 'paint.c']) {
      await writeFile(join(root, name), await readFile(join(data, name)));
    }
    const common = { target, toolchain: toolchain!, includeDirs: [], root, warningsAreErrors: true };
    const outDir = join(root, 'obj');
    const library = await compileLibrary({ ...common, sources: [join(root, 'chain.c')], outDir });
    const output = join(root, 'paint');
    await linkRunner({ ...common, sources: [join(root, 'paint.c')], outDir, library, output });
    const declared: DeclaredCalls = {
      indirect: { run_tasks: ['em_serial_for'], em_serial_for: ['task'] },
      hooks: {},
    };
    const { stack } = await auditLibrary({ target, toolchain: toolchain!, library, declared });

    let stdout = '';
    const run = await runLocally(target, output, [], {
      timeoutMs: 20_000,
      onStdoutChunk: (chunk) => {
        stdout += chunk.toString();
      },
    }).catch((error: unknown) => {
      if (error instanceof EmbedError && error.code === 'EM3201') {
        return error;
      }
      throw error;
    });
    if (run instanceof EmbedError) {
      t.comment(`not run: ${run.why}`);
      return;
    }
    t.equal(run.exitCode, 0, run.stderr);
    const measured = new Map(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' '))
        .map(([name, bytes]) => [name, Number(bytes)]),
    );
    t.equal(measured.size, 6, stdout);
    for (const [name, touched] of measured) {
      const computed = stack.byEntry[name];
      // Compilers leave a few bytes for alignment untouched; 64-byte alignment leaves up to 56.
      t.ok(touched <= computed, `${name}: ${touched} bytes touched, ${computed} computed`);
      t.ok(computed - touched <= (name === 'em_aligned' ? 96 : 40), `${name}: ${touched} of ${computed}`);
    }
    t.equal(stack.bytes, Math.max(...Object.values(stack.byEntry)));
    t.equal(stack.byEntry[stack.path[0].name], stack.bytes, 'the path starts at the deepest entry point');
    t.ok(stack.path.length >= 2, JSON.stringify(stack.path));
  });
}

t.test('GNU and LLVM disassemblers lead to the same figures', async (t) => {
  const llvm = await findProgram('llvm-objdump');
  for (const installed of await installedToolchains()) {
    const { title, family, toolchain, skip } = installed;
    if (family === 'zig') {
      continue; // see listing.test.ts
    }
    // LLVM 14 takes no architecture from the attributes of an object, and refuses to guess extensions.
    const why =
      skip || (llvm === undefined ? 'no llvm-objdump' : title.startsWith('riscv-u74-zb') && 'extensions');
    t.test(title, { skip: why }, async (t) => {
      const files = { 'chain.c': await readFile(join(data, 'chain.c'), 'utf8') };
      const declared: DeclaredCalls = {
        indirect: { run_tasks: ['em_serial_for'], em_serial_for: ['task'] },
        hooks: {},
      };
      const gnu = await auditSources(installed, files, { declared });
      const other: Toolchain = { ...toolchain!, objdump: llvm! };
      t.same(await auditSources({ ...installed, toolchain: other }, files, { declared }), gnu);
    });
  }
});

const [first] = (await installedToolchains()).filter(({ skip }) => skip === false);

t.test('hooks and entry points', { skip: first === undefined && 'no toolchain' }, async (t) => {
  const files = {
    'a.c': `typedef void (*task)(void *);
      static void work(void *p) { volatile char buffer[300]; for (int i = 0; i < 300; i++) buffer[i] = *(char *)p; }
      void em_go(void (*hook)(task, void *), void *p) { hook(work, p); }
      int em_small(int x) { return x + 1; }`,
  };
  const declared = (stackBytes: number): DeclaredCalls => ({
    indirect: { em_go: ['parallel_for'] },
    hooks: { parallel_for: { stackBytes, calls: ['work'] } },
  });
  const { stack: without } = await auditSources(first, files, { declared: declared(0) });
  const { stack: with1000 } = await auditSources(first, files, { declared: declared(1000) });
  t.equal(with1000.bytes, without.bytes + 1000, "a hook's own stack counts");
  t.ok(without.byEntry.work >= 300 && without.byEntry.work < 360, `work alone: ${without.byEntry.work}`);
  t.same(
    with1000.path.map(({ name }) => name),
    ['em_go', 'parallel_for', 'work'],
  );
  const { stack: small } = await auditSources(first, files, {
    declared: declared(0),
    entryPoints: ['em_small'],
  });
  t.ok(small.bytes <= 16, 'only what the entry points reach counts');
});
