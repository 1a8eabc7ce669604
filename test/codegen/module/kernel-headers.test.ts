/** Folders that are, and are not, of a configured kernel. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { moduleWarnings } from '../../../codegen/module/compile-module.js';
import { readKernelHeaders, runningKernelHeaders } from '../../../codegen/module/kernel-headers.js';
import { architectures } from '../../../targets/target.js';

const config = '#\n# made by kconfig\n#\nCONFIG_MODULES=y\nCONFIG_X86_64=y\nCONFIG_64BIT=y\n';

/** A folder with these files. */
function folder(t: Test, files: Readonly<Record<string, string>>): string {
  const root = t.testdir();
  for (const name of ['config', 'generated']) mkdirSync(join(root, 'include', name), { recursive: true });
  for (const [path, text] of Object.entries(files)) writeFileSync(join(root, path), text);
  return root;
}

const whole = {
  Makefile: 'include common\n',
  'include/config/auto.conf': config,
  'include/config/kernel.release': '6.1.0-1-test\n',
};

t.test('a configured kernel', async (t) => {
  const path = folder(t, whole);
  t.same(readKernelHeaders(path, { arch: 'x86_64' }), {
    folder: path,
    release: '6.1.0-1-test',
    compiler: null,
  });
});

t.test('what uname says goes before the version of the sources', async (t) => {
  const made = { 'include/generated/utsrelease.h': '#define UTS_RELEASE "6.1.0-2-test"\n' };
  t.match(readKernelHeaders(folder(t, { ...whole, ...made }), { arch: 'x86_64' }), {
    release: '6.1.0-2-test',
  });
});

t.test("the compiler that Debian's headers ask for", async (t) => {
  const asks = 'CCACHE = ccache\nCC = $(if $(USE),$(CCACHE)) $(CROSS_COMPILE)gcc-12\n';
  const path = folder(t, { ...whole, '.kernelvariables': asks });
  t.equal(readKernelHeaders(path, { arch: 'x86_64' }).compiler, 'gcc-12');
});

t.test('folders that cannot be used', async (t) => {
  const refuses = (change: Record<string, string | null>, why: RegExp) => {
    const files = Object.entries({ ...whole, ...change }).filter(
      (entry): entry is [string, string] => entry[1] !== null,
    );
    const path = folder(t, Object.fromEntries(files));
    t.throws(() => readKernelHeaders(path, { arch: 'x86_64' }), { code: 'EM5002', message: why });
  };
  refuses({ Makefile: null }, /no Makefile/);
  refuses({ 'include/config/auto.conf': null }, /not configured/);
  refuses({ 'include/config/kernel.release': ' \n' }, /not configured/);
  refuses({ 'include/config/auto.conf': config.replace('CONFIG_MODULES=y', '') }, /without loadable modules/);
  const arm = config.replace('CONFIG_X86_64=y', 'CONFIG_ARM64=y');
  refuses({ 'include/config/auto.conf': arm }, /another architecture than x86_64/);
});

t.test('at most one architecture is that of the running kernel', async (t) => {
  const found = architectures.filter((arch) => runningKernelHeaders({ arch }) !== null);
  t.ok(found.length <= 1, found.join(', '));
});

t.test('what is a warning of kbuild', async (t) => {
  const said = [
    'warning: the compiler differs from the one used to build the kernel',
    '  CC [M]  module/main.o',
    "module/main.c:3:1: warning: unused variable 'x' [-Wunused-variable]",
    'WARNING: modpost: missing MODULE_LICENSE() in module/embed_model.o',
  ].join('\n');
  t.equal(moduleWarnings(said).length, 2);
});
