/** The kernel module on stock Debian kernels: loads, answers with the golden logits, refuses what is wrong, and leaves nothing. */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Manifest } from '../../codegen/bundle/manifest.js';
import { templatesFolder } from '../../codegen/emit/render.js';
import { BoardSession } from '../../deploy/session/board-session.js';
import { targets } from '../../targets/index.js';
import { buildOrReason, scratchFolder, sessionWith } from './board-bundle.js';
import { boardHeaders, compileForBoard, withFiles } from './kernel-board.js';
import { boardImage, type Machine, machines, startQemuBoard } from './qemu-board.js';

t.setTimeout(1_200_000);

const scratch = scratchFolder('kernel');
const bootMs = 240_000;
const targetNames = { x86_64: 'x86_64-avx2', aarch64: 'cortex-a72', riscv64: 'riscv-u74' } as const;
const [x86, arm, sifive] = machines as readonly [Machine, Machine, Machine];

/** A running board with the bundled model's module and em-ask in it; the reason where there can be none. */
async function modelBoard(t: Test, machine: Machine) {
  const image = boardImage(machine);
  if (typeof image === 'string') return image;
  const headers = boardHeaders(machine, image);
  if (typeof headers === 'string') return headers;
  const target = targets.find(({ name }) => name === targetNames[machine.arch])!;
  const folder = join(scratch, machine.arch);
  const built = await buildOrReason(folder, target, 'os-nano', {
    kernelModule: true,
    kernelHeaders: headers.folder,
  });
  if (typeof built === 'string') return built;
  const { bundle, manifest } = built;
  const ask = join(folder, 'em-ask');
  compileForBoard(target, join(templatesFolder, 'module', 'em-ask.c'), ask);
  const files = {
    'lib/modules/embed_model.ko': join(bundle, 'module', 'embed_model.ko'),
    [`lib/firmware/${manifest.kernelModule!.firmware}`]: join(bundle, 'model.blob'),
    'bin/em-ask': ask,
  };
  const board = await startQemuBoard(t, machine, withFiles(image, files, folder), 'ssh');
  await board.begin();
  await board.ready(bootMs);
  const session = await BoardSession.open(board.ssh, null, sessionWith({ acceptNew: true }));
  return { session, manifest, bundle };
}

/** What the kernel said that it says only where something is wrong. */
const complaints = (dmesg: string) =>
  dmesg
    .split('\n')
    .filter((line) => /WARNING|BUG|Oops|Call Trace|soft lockup|hung_task|rcu:.*stall/i.test(line));

/** em-ask asked for a golden run, by text and by ids. */
function askCommands({ golden }: Manifest) {
  return golden.map((run) => {
    const { temperatureQ16, topK, topPQ16, seed } = run.sampling;
    const sampling = `-t ${temperatureQ16} -k ${topK} -p ${topPQ16} -s ${seed}`;
    const common = `em-ask -d -n ${run.tokenIds.length} ${sampling}`;
    const ids = `${common} -i ${run.promptIds.join(',')}`;
    return { run, ids, text: `${common} '${run.prompt}'` };
  });
}

async function answers(t: Test, machine: Machine): Promise<void> {
  const made = await modelBoard(t, machine);
  if (typeof made === 'string') {
    t.plan(0, made);
    return;
  }
  const { session, manifest } = made;
  const sh = async (script: string) => {
    const { stdout, stderr, code } = await session.command(script);
    return { said: `${stdout}${stderr}`, code };
  };
  const before = complaints((await sh('dmesg')).said).length;
  t.same(await sh('insmod /lib/modules/embed_model.ko selftest=1'), { said: '', code: 0 });
  t.match(await sh('ls -l /dev/embed_model'), { said: /^crw-------/ });
  for (const { run, ids, text } of askCommands(manifest)) {
    const positions = run.promptIds.length + run.tokenIds.length - 1;
    const digest = `digest ${run.logitsDigest} of ${positions} positions`;
    const byIds = await sh(ids);
    t.equal(byIds.said.split('\n')[0]?.trim(), run.tokenIds.join(' '));
    t.ok(byIds.said.includes(digest), byIds.said);
    t.ok((await sh(text)).said.includes(digest), 'text gives the same ids');
  }
  await withoutVectors(t, sh, manifest);
  await conversations(t, sh);
  await refusals(t, sh);
  t.same(await sh('rmmod embed_model; ls /dev/embed_model 2>/dev/null'), { said: '', code: 1 });
  const dmesg = (await sh('dmesg')).said;
  t.equal(complaints(dmesg).length, before, complaints(dmesg).join('\n'));
  for (const { logitsDigest } of manifest.golden) t.match(dmesg, `self-test: logits ${logitsDigest}`);
  await session.close();
}

/** The same module in general registers has the same logits. Afterwards it is loaded as before. */
async function withoutVectors(t: Test, sh: Shell, manifest: Manifest): Promise<void> {
  const figures = 'cd /sys/class/misc/embed_model; cat simd longest_section_ns';
  const vectors = manifest.targetSpec.kernelModeVectors !== null;
  t.match(await sh(figures), { said: vectors ? /^1\n[1-9]\d*\n$/ : /^0\n0\n$/ });
  t.same(await sh('rmmod embed_model; insmod /lib/modules/embed_model.ko selftest=1 simd=0'), {
    ...{ said: '', code: 0 },
  });
  for (const { run, ids } of askCommands(manifest)) t.match((await sh(ids)).said, `digest ${run.logitsDigest}`);
  t.same(await sh(figures), { said: '0\n0\n', code: 0 });
  t.same(await sh('rmmod embed_model; insmod /lib/modules/embed_model.ko'), { said: '', code: 0 });
}

type Shell = (script: string) => Promise<{ readonly said: string; readonly code: number | null }>;

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
async function refusals(t: Test, sh: Shell): Promise<void> {
  t.match(await sh('em-ask "$(yes word | head -n 300)"'), { said: /Argument list too long/, code: 3 });
  t.match(await sh('em-ask -i 1,99999999'), { said: /Invalid argument/, code: 3 });
  t.match(
    await sh('em-ask -n 2 "$(printf \'\\377\\376x\')"'),
    { code: 0 },
    'bytes that are no UTF-8 are U+FFFD',
  );
  await sh(
    'rmmod embed_model; cp -r /lib/firmware/embed_model /tmp/kept; echo /lib/firmware/embed_model/* > /tmp/name',
  );
  const load = 'insmod /lib/modules/embed_model.ko';
  t.match(await sh(`rm $(cat /tmp/name); ${load}`), { code: 2 }, 'missing');
  t.match(await sh(`head -c 100000 /tmp/kept/* > $(cat /tmp/name); ${load}`), { code: 74 }, 'cut');
  const alter =
    'cp /tmp/kept/* $(cat /tmp/name); printf X | dd of=$(cat /tmp/name) bs=1 seek=2000000 conv=notrunc';
  t.match(await sh(`${alter} 2>/dev/null; ${load}`), { code: 74 }, 'altered');
  t.match(await sh('dmesg'), { said: /blob truncated.*blob payload damaged/s });
  t.match(
    await sh(`cp /tmp/kept/* $(cat /tmp/name); echo x >> $(cat /tmp/name); ${load}`),
    { code: 74 },
    'longer',
  );
  t.match(await sh(`cp /tmp/kept/* $(cat /tmp/name); ${load} sessions=0`), { code: 22 });
  t.same(await sh(load), { said: '', code: 0 });
}

for (const machine of [x86, arm, sifive]) t.test(machine.name, (t) => answers(t, machine));
