/** The suite of the kernel module on a kernel with KASAN, UBSAN, lockdep and kmemleak, and allocations that fail one after another. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { scratchFolder } from '../boards/board-bundle.js';
import { repository } from '../boards/board-cache.js';
import { client, interfaceFiles, linked, makeModule, signedWeights } from '../boards/interface-suite.js';
import { compileForBoard } from '../boards/kernel-board.js';
import { bootWith, type ModuleBundle, moduleFor, type Shell } from '../boards/module-board.js';
import { cycles } from '../boards/module-cycles.js';
import { moduleSuite, suiteFiles } from '../boards/module-suite.js';
import {
  beginDebugging,
  type DebugKernel,
  debugKernel,
  debugMachine,
  leaks,
  reports,
} from './debug-kernel.js';
import { everyFailure, workersWithoutMemory } from './fault-injection.js';

t.setTimeout(4 * 3_600_000);

/** Signed with the key of the kernel, because it is loaded when that wants signatures. */
function plantedBugs(kernel: DebugKernel): string {
  const folder = scratchFolder('planted-bugs');
  copyFileSync(join(repository, 'test', 'nightly', 'planted-bugs.c'), join(folder, 'planted-bugs.c'));
  writeFileSync(join(folder, 'Kbuild'), 'obj-m := planted-bugs.o\n');
  return signForKernel(kernel, makeModule(kernel.headers, folder, 'planted-bugs.ko'));
}

/** A copy that is signed with the key that was made with the kernel, which it trusts. */
function signForKernel({ headers }: DebugKernel, module: string): string {
  const keys = ['pem', 'x509'].map((form) => join(headers, 'certs', `signing_key.${form}`));
  execFileSync(join(headers, 'scripts', 'sign-file'), ['sha256', ...keys, module, `${module}.signed`]);
  return `${module}.signed`;
}

function filesFor(t: Test, kernel: DebugKernel, built: ModuleBundle, single: ModuleBundle) {
  const probe = join(built.folder, 'fail-probe');
  compileForBoard(built.target, join(repository, 'test', 'nightly', 'fail-probe.c'), probe);
  return {
    ...kernel.files,
    ...suiteFiles(built),
    ...interfaceFiles(t, built, single),
    'bin/fail-probe': probe,
    'lib/modules/planted-bugs.ko': plantedBugs(kernel),
    'lib/modules/trusted.ko': signForKernel(kernel, join(built.bundle, 'module', 'embed_model.ko')),
  };
}

/** A kernel that wants signatures loads what is signed with its key, and refuses what is not: 129 is EKEYREJECTED. */
async function trustedModule(t: Test, sh: Shell): Promise<void> {
  await sh('echo 1 > /sys/module/module/parameters/sig_enforce');
  t.match(await sh('insmod /lib/modules/embed_model.ko'), { code: 129 });
  t.same(await sh('insmod /lib/modules/trusted.ko'), { said: '', code: 0 });
  t.match(await sh('em-ask -n 2 PCI'), { code: 0 });
  t.same(await sh('rmmod embed_model'), { said: '', code: 0 });
}

/** The kernel's debugging reports what is wrong on purpose. Last: KASAN and lockdep look no further after their first reports. */
async function mistakes(t: Test, sh: Shell): Promise<void> {
  const plant = async (bug: string) =>
    (await sh(`insmod /lib/modules/planted-bugs.ko bug=${bug}; dmesg -c`)).said;
  t.same(reports(await plant('none')), []);
  await plant('leak');
  t.match(await leaks(sh), /unreferenced object.*insmod/s);
  t.match(await plant('locks'), /possible circular locking dependency/);
  t.match(await plant('sleep'), /sleeping function called from invalid context/);
  t.match(await plant('bounds'), /KASAN: slab-out-of-bounds/);
}

/** What the kernel has to say since it was asked last, and of memory. */
async function clean(t: Test, sh: Shell, after: string): Promise<void> {
  t.equal(await leaks(sh), '', `nothing is lost after ${after}`);
  t.same(reports((await sh('dmesg -c')).said), [], `no report after ${after}`);
  t.match(await sh('cat /proc/lockdep_stats'), { said: /debug_locks: +1/ }, 'lockdep still looks');
}

t.test(debugMachine.name, async (t) => {
  const kernel = debugKernel();
  if (typeof kernel === 'string') return t.plan(0, kernel);
  const built = await moduleFor(debugMachine, kernel.image, kernel.headers);
  if (typeof built === 'string') return t.plan(0, built);
  const single = await moduleFor(debugMachine, kernel.image, kernel.headers, { singleFile: true });
  if (typeof single === 'string') return t.plan(0, single);
  const board = await bootWith(t, debugMachine, kernel.image, filesFor(t, kernel, built, single));
  const log: string[] = [];
  const sh: Shell = async (script) => {
    const answer = await board(script);
    log.push(`# ${script}\n${answer.said}`);
    return answer;
  };
  t.teardown(() => {
    mkdirSync(dirname(kernel.log), { recursive: true });
    writeFileSync(kernel.log, log.join('\n'));
    t.comment(`log: ${kernel.log}`);
  });
  t.match(await beginDebugging(sh), /debug_locks: +1/);
  t.same(reports((await sh('dmesg')).said), [], 'the kernel itself is clean');
  await t.test('suite', (t) => moduleSuite(t, sh, built.manifest));
  await clean(t, sh, 'the suite');
  await t.test('weights linked in', (t) => linked(t, sh, single.manifest));
  await t.test('signed weights', (t) => signedWeights(t, sh, built.manifest));
  await t.test('a module that asks', (t) => client(t, sh, built.manifest));
  await clean(t, sh, 'weights linked in, signed weights and a client');
  // KASAN keeps freed objects for a while, so slabs say nothing here: kmemleak does.
  await t.test('processes that come and go', (t) => cycles(t, sh, 10, Number.POSITIVE_INFINITY));
  await clean(t, sh, 'processes that come and go');
  await t.test('every failure', (t) => everyFailure(t, sh, built.manifest));
  await clean(t, sh, 'every failure');
  await t.test('workers without memory', (t) => workersWithoutMemory(t, sh, built.manifest));
  await clean(t, sh, 'workers without memory');
  await t.test('a module signed with a key of the kernel', (t) => trustedModule(t, sh));
  await clean(t, sh, 'the signed module');
  await t.test('mistakes on purpose are seen', (t) => mistakes(t, sh));
});
