import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { compileLibrary } from '../../../codegen/compile/compile.js';
import { parseElfObject } from '../../../codegen/compile/elf-object.js';
import { findProgram } from '../../../codegen/compile/find-program.js';
import { runTool } from '../../../codegen/compile/run-tool.js';
import { sectionSizes } from '../../../codegen/compile/section-sizes.js';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { installedToolchains } from './installed.js';
import { sourceFolder } from './source-folder.js';

const source = `int em_other(int);
const char *const em_names[2] = {"one", "two"};
int em_state[3];
int em_value = 7;
static int local(int x) { return em_other(x) + em_state[0]; }
__attribute__((weak)) int em_f(int x) { return local(x) + em_value; }
`;

const usable = (await installedToolchains()).filter(({ skip }) => skip === false);

for (const { title, target, toolchain } of usable) {
  t.test(title, async (t) => {
    const root = await sourceFolder(t, { 'a.c': source });
    const options = { target, toolchain: toolchain!, includeDirs: [], root, outDir: join(root, 'obj') };
    const { objects, sizes } = await compileLibrary({ ...options, sources: [join(root, 'a.c')] });
    const path = objects[0].object;
    const elf = parseElfObject(await readFile(path), 'a.o');

    const symbol = (name: string) => elf.symbols.find((one) => one.name === name);
    t.match(symbol('em_f'), { section: '.text.em_f', address: 0, isGlobal: true, isFunction: true });
    t.match(symbol('em_other'), { section: '*UND*', isGlobal: true });
    t.match(symbol('em_state'), { section: /^\.s?bss\.em_state$/, bytes: 12, isFunction: false });
    t.ok(elf.relocations.some((one) => one.symbol === 'em_other' && one.section.startsWith('.text')));
    t.equal(elf.relocations.filter(({ section }) => /^\.data\.rel\.ro/.test(section)).length, 2, 'two names');
    t.same([sizes.dataBytes, sizes.bssBytes], [4, 12]);

    t.test(
      'as binutils sees it',
      { skip: (await findProgram('size')) === undefined && 'no size' },
      async (t) => {
        const { stdout } = await runTool([(await findProgram('size'))!, '-A', path]);
        const bytes = new Map(
          [...stdout.matchAll(/^(\.\S+)\s+(\d+)\s+\d+$/gm)].map(([, name, size]) => [name, Number(size)]),
        );
        const sum = (names: RegExp) =>
          [...bytes].filter(([name]) => names.test(name)).reduce((total, [, size]) => total + size, 0);
        t.equal(sizes.textBytes, sum(/^\.text/));
        t.equal(sizes.rodataBytes, sum(/^\.(?:rodata|srodata|data\.rel\.ro|eh_frame)/));
      },
    );
  });
}

t.test('damaged objects', { skip: usable.length === 0 && 'no toolchain' }, async (t) => {
  const [{ target, toolchain }] = usable;
  const root = await sourceFolder(t, { 'a.c': source });
  const options = { target, toolchain: toolchain!, includeDirs: [], root, outDir: join(root, 'obj') };
  const { objects } = await compileLibrary({ ...options, sources: [join(root, 'a.c')] });
  const whole = await readFile(objects[0].object);
  const survives = (file: Buffer) => {
    try {
      return sectionSizes([parseElfObject(file, 'a.o')]).textBytes >= 0;
    } catch (error) {
      return error instanceof EmbedError && error.code === 'EM3006';
    }
  };
  for (const [what, file] of [
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('int main(void) { return 0; }\n'.repeat(9))],
    ['half a file', whole.subarray(0, whole.length >> 1)],
  ] as const) {
    t.throws(() => parseElfObject(file, 'a.o'), { code: 'EM3006', where: 'a.o' }, what);
  }
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        (changes) => {
          const file = Buffer.from(whole);
          for (const [at, value] of changes) {
            file[at] = value;
          }
          return survives(file);
        },
      ),
      { numRuns: 2000, seed: 3 },
    ),
  );
});
