import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { compileLibrary, linkRunner } from '../../../codegen/compile/compile.js';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { installedToolchains } from './installed.js';

const folder = await mkdtemp(join(tmpdir(), 'em-compile-'));
t.teardown(() => rm(folder, { recursive: true }));

const model = `#include "model.h"
static const int table[256] = {[3] = 7};
const char *em_file(void) { return __FILE__; }
int em_add(int a, int b) { return a + b + table[(unsigned)(a ^ b) % 256u]; }
`;
const header = 'const char *em_file(void);\nint em_add(int a, int b);\n';
const runner = `#include <pthread.h>
#include <stdio.h>
#include "model.h"
static void *work(void *x) { return x; }
int main(void) {
    pthread_t thread;
    if (pthread_create(&thread, 0, work, 0) != 0 || pthread_join(thread, 0) != 0) return 1;
    printf("%s %d\\n", em_file(), em_add(2, 3));
    return 0;
}
`;

/** A bundle's folder, with the same files wherever it is. */
async function bundle(path: string): Promise<string> {
  const root = join(folder, path);
  await mkdir(join(root, 'src'), { recursive: true });
  await mkdir(join(root, 'runner'));
  await writeFile(join(root, 'src/model.c'), model);
  await writeFile(join(root, 'src/second.c'), 'int em_two(int x) { return x * 2; }\n');
  await writeFile(join(root, 'src/model.h'), header);
  await writeFile(join(root, 'runner/main.c'), runner);
  return root;
}

/** e_machine of the ELF header. */
const machines = { x86_64: 62, aarch64: 183, riscv64: 243 };

for (const { title, target, family, toolchain, skip } of await installedToolchains()) {
  t.test(title, { skip }, async (t) => {
    const build = async (root: string) => {
      const common = {
        target,
        toolchain: toolchain!,
        root,
        includeDirs: [join(root, 'src')],
        outDir: join(root, 'obj'),
        warningsAreErrors: true,
      };
      const sources = [join(root, 'src/second.c'), join(root, 'src/model.c')];
      const library = await compileLibrary({ ...common, sources });
      const output = join(root, 'em-run');
      const linked = await linkRunner({ ...common, sources: [join(root, 'runner/main.c')], library, output });
      return { library, linked };
    };
    const first = await build(await bundle(`${target.name}-${family}/one`));
    const second = await build(await bundle(`${target.name}-${family}/another place, much longer`));

    t.equal(first.library.warnings + first.linked.warnings, '');
    const archive = await readFile(first.library.archive);
    t.ok(archive.equals(await readFile(second.library.archive)), 'same library in every folder');
    const binary = await readFile(first.linked.binary);
    t.ok(binary.equals(await readFile(second.linked.binary)), 'same program in every folder');
    t.notOk(binary.includes(folder) || archive.includes(folder), 'no path of this machine');
    t.ok(archive.includes('src/model.c'), '__FILE__ is relative');
    t.same(first.library.flags, second.library.flags);
    t.notOk(first.library.flags.some((flag) => flag.includes(folder)));

    t.equal(binary.readUInt16LE(18), machines[target.arch], 'an ELF file for the target');
    t.equal(binary.readUInt16LE(16), 2, 'static, at fixed addresses');
    const { textBytes, rodataBytes, dataBytes, bssBytes } = first.library.sizes;
    t.ok(textBytes > 20 && textBytes < 400, `${textBytes} bytes of code`);
    t.ok(rodataBytes >= 1024 && rodataBytes < 1200, `${rodataBytes} bytes of constants`);
    t.same([dataBytes, bssBytes], [0, 0]);
    t.same(
      first.library.objects.map(({ object }) => object.replace(/.*\//, '')),
      ['model.o', 'second.o'],
      'in the order of their names',
    );
  });
}

const [usable] = (await installedToolchains()).filter(({ skip }) => skip === false);
t.test('what a compiler refuses', { skip: usable === undefined && 'no toolchain' }, async (t) => {
  const { target, toolchain } = usable;
  const compile = async (name: string, text: string, warningsAreErrors: boolean) => {
    const root = await mkdtemp(join(folder, 'bad-'));
    await writeFile(join(root, name), text);
    return compileLibrary({
      target,
      toolchain: toolchain!,
      sources: [join(root, name)],
      includeDirs: [],
      root,
      outDir: join(root, 'obj'),
      warningsAreErrors,
    }).catch((error: unknown) => error);
  };
  const wrong = await compile('wrong.c', 'int f(void) { return y; }\n', false);
  t.ok(wrong instanceof EmbedError && wrong.code === 'EM3002');
  t.match((wrong as EmbedError).why, /wrong\.c:1[\s\S]*'y'/);

  const narrowing = 'signed char em_f(int x) { return x; }\n';
  t.match(await compile('narrow.c', narrowing, false), {
    warnings: /narrow\.c:1.*-W(?:implicit-int-)?conversion/,
  });
  t.match(await compile('narrow.c', narrowing, true), { code: 'EM3002' });
  const frame = 'void g(char *); void em_f(void) { char a[3000]; g(a); }\n';
  t.match(await compile('frame.c', frame, false), { warnings: /-Wframe-larger-than/ });
  t.match(await compile('sub.c', '#include "absent.h"\n', false), { code: 'EM3002', why: /absent\.h/ });
});
