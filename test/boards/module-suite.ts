/** All that a module must do on a board: answers with the golden logits, refuses what is wrong, leaves nothing. */
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Manifest } from '../../codegen/bundle/manifest.js';
import { repository } from './board-cache.js';
import { compileForBoard } from './kernel-board.js';
import { askCommands, complaints, type ModuleBundle, moduleFiles, type Shell } from './module-board.js';

/** What a board of the suite has: path there to path here. */
export function suiteFiles(built: ModuleBundle): Record<string, string> {
  const probe = join(built.folder, 'probe');
  compileForBoard(built.target, join(repository, 'test', 'boards', 'device-probe.c'), probe);
  return { ...moduleFiles(built), 'bin/device-probe': probe };
}

/** The module is not loaded before, nor afterwards. */
export async function moduleSuite(t: Test, sh: Shell, manifest: Manifest): Promise<void> {
  const before = complaints((await sh('dmesg')).said).length;
  t.same(await sh('insmod /lib/modules/embed_model.ko selftest=1'), { said: '', code: 0 });
  t.match(await sh('ls -l /dev/embed_model'), { said: /^crw-------/ });
  await goldenAnswers(t, sh, manifest);
  await withoutVectors(t, sh, manifest);
  await conversations(t, sh);
  await refusals(t, sh, manifest);
  await readersAndSignals(t, sh);
  const dmesg = (await sh('dmesg -c')).said;
  t.equal(complaints(dmesg).length, before, complaints(dmesg).join('\n'));
  for (const { logitsDigest } of manifest.golden) t.match(dmesg, `self-test: logits ${logitsDigest}`);
  await withoutMemory(t, sh);
  t.same(await sh('rmmod embed_model; ls /dev/embed_model 2>/dev/null'), { said: '', code: 1 });
  t.notMatch((await sh('dmesg')).said, /WARNING|BUG|Oops/);
}

async function goldenAnswers(t: Test, sh: Shell, manifest: Manifest): Promise<void> {
  for (const { run, ids, text } of askCommands(manifest)) {
    const positions = run.promptIds.length + run.tokenIds.length - 1;
    const digest = `digest ${run.logitsDigest} of ${positions} positions`;
    const byIds = await sh(ids);
    t.equal(byIds.said.split('\n')[0]?.trim(), run.tokenIds.join(' '));
    t.ok(byIds.said.includes(digest), byIds.said);
    t.ok((await sh(text)).said.includes(digest), 'text gives the same ids');
  }
}

/** The same module in general registers has the same logits. Afterwards it is loaded as before. */
async function withoutVectors(t: Test, sh: Shell, manifest: Manifest): Promise<void> {
  const figures = 'cd /sys/class/misc/embed_model; cat simd longest_section_ns';
  const vectors = manifest.targetSpec.kernelModeVectors !== null;
  t.match(await sh(figures), { said: vectors ? /^1\n[1-9]\d*\n$/ : /^0\n0\n$/ });
  t.same(await sh('rmmod embed_model; insmod /lib/modules/embed_model.ko selftest=1 simd=0'), {
    ...{ said: '', code: 0 },
  });
  for (const { run, ids } of askCommands(manifest))
    t.match((await sh(ids)).said, `digest ${run.logitsDigest}`);
  t.same(await sh(figures), { said: '0\n0\n', code: 0 });
  t.same(await sh('rmmod embed_model; insmod /lib/modules/embed_model.ko'), { said: '', code: 0 });
}

/** More than one file, files that are closed in the middle, settings out of range, and figures. */
async function conversations(t: Test, sh: Shell): Promise<void> {
  const folder = '/sys/class/misc/embed_model';
  t.match(await sh('exec 3<>/dev/embed_model; rmmod embed_model'), { code: 1 }, 'not while it is open');
  const four = 'exec 3<>/dev/embed_model 4<>/dev/embed_model 5<>/dev/embed_model 6<>/dev/embed_model';
  t.match(await sh(`${four}; em-ask -n 1 x`), { said: /busy/i, code: 3 }, 'four files are the limit');
  t.same(await sh(`cat ${folder}/sessions`), { said: '0\n', code: 0 });
  const ask = 'for i in 1 2 3 4 5 6 7 8; do printf PCI > /dev/embed_model; done';
  const cycles = `(${ask}) & (${ask}) & ${ask}; wait; em-ask -n 3 PCI >/dev/null`;
  t.same(await sh(cycles), { said: '', code: 0 }, 'answers that nobody waits for');
  t.match(await sh('em-ask -n 100000 PCI & p=$!; sleep 0.05; kill -9 $p; wait $p'), { code: 137 });
  t.match(await sh('em-ask -n 0 PCI'), { said: /Invalid argument/, code: 3 });
  t.match(await sh(`cat ${folder}/tokens`), { said: /^[1-9]\d*\n$/ });
  const same = 'em-ask -n 20 -d PCI | tail -1';
  t.equal(new Set((await sh(`(${same} & ${same} & wait)`)).said.trim().split('\n')).size, 1, 'two at a time');
}

/** Prompts that cannot be, and weights that are missing, cut or altered. The module is loaded before and after. */
async function refusals(t: Test, sh: Shell, manifest: Manifest): Promise<void> {
  t.match(await sh('em-ask "$(yes word | head -n 300)"'), { said: /Argument list too long/, code: 3 });
  t.match(await sh('em-ask -i 1,99999999'), { said: /Invalid argument/, code: 3 });
  t.match(
    await sh('em-ask -n 2 "$(printf \'\\377\\376x\')"'),
    { code: 0 },
    'bytes that are no UTF-8 are U+FFFD',
  );
  const blob = `/lib/firmware/${manifest.kernelModule!.firmware}`;
  const restore = `cp /tmp/kept ${blob}`;
  await sh(`rmmod embed_model; cp ${blob} /tmp/kept`);
  const load = 'insmod /lib/modules/embed_model.ko';
  t.match(await sh(`rm ${blob}; ${load}`), { code: 2 }, 'missing');
  t.match(await sh(`head -c 100000 /tmp/kept > ${blob}; ${load}`), { code: 74 }, 'cut');
  const alter = `${restore}; printf altered | dd of=${blob} bs=1 seek=2000000 conv=notrunc`;
  t.match(await sh(`${alter} 2>/dev/null; ${load}`), { code: 74 }, 'altered');
  t.match(await sh('dmesg'), { said: /blob truncated.*blob payload damaged/s });
  t.match(await sh(`${restore}; echo x >> ${blob}; ${load}`), { code: 74 }, 'longer');
  t.match(await sh(`${restore}; ${load} sessions=0`), { code: 22 });
  t.same(await sh(load), { said: '', code: 0 });
}

/** Readers of one file share its answer; signals interrupt a read and lose nothing. */
async function readersAndSignals(t: Test, sh: Shell): Promise<void> {
  t.match(await sh('device-probe readers 60'), { said: /^60 ids by 3 readers, as by one\n$/, code: 0 });
  t.match(await sh('device-probe signals 60'), {
    said: /^60 ids, interrupted [1-9]\d* times, as without\n$/,
    code: 0,
  });
  t.match(await sh('dd if=/dev/zero of=/dev/embed_model bs=70000 count=1'), {
    said: /Message too long/,
    code: 1,
  });
}

/** A group of processes with less memory than an open file takes: refused or killed, and nothing stays behind. */
async function withoutMemory(t: Test, sh: Shell): Promise<void> {
  const group = '/tmp/cgroup/small';
  await sh(
    `mkdir /tmp/cgroup; mount -t cgroup2 none /tmp/cgroup; echo +memory > /tmp/cgroup/cgroup.subtree_control`,
  );
  t.match(await sh(`mkdir ${group} && echo 700k > ${group}/memory.max`), { code: 0 });
  const open = `sh -c 'echo $$ > ${group}/cgroup.procs; exec em-ask -n 1 PCI'`;
  t.not((await sh(open)).code, 0, 'no memory for it, or killed for it');
  t.same(await sh('cat /sys/class/misc/embed_model/sessions'), { said: '0\n', code: 0 });
  t.match(await sh('em-ask -n 1 PCI'), { code: 0 });
}
