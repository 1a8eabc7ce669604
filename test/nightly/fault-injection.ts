/** Allocations and copies that fail on purpose, on a kernel with fault injection. */
import type { Test } from 'tap';
import type { Manifest } from '../../codegen/bundle/manifest.js';
import { askCommands, type Shell } from '../boards/module-board.js';

const settings = (name: string, ...values: readonly string[]) =>
  `cd /sys/kernel/debug/${name} && echo 0 > verbose && ${values.map((value) => `echo ${value}`).join(' && ')}`;

/** Those that may sleep fail, too, and single pages. Nothing does before it is asked for. */
const ready = [
  settings('failslab', 'N > ignore-gfp-wait'),
  settings('fail_page_alloc', 'N > ignore-gfp-wait', '0 > min-order', 'N > ignore-gfp-highmem'),
  settings('fail_usercopy', '0 > probability'),
].join(' && ');

async function stillAnswers(t: Test, sh: Shell, manifest: Manifest): Promise<void> {
  const [{ run, ids }] = askCommands(manifest) as [ReturnType<typeof askCommands>[number]];
  t.match((await sh(ids)).said, `digest ${run.logitsDigest}`);
  t.same(await sh('cat /sys/class/misc/embed_model/sessions'), { said: '0\n', code: 0 });
}

/** Each allocation and copy of each system call, and of loading, fails once. */
export async function everyFailure(t: Test, sh: Shell, manifest: Manifest): Promise<void> {
  t.match(await sh(ready), { code: 0 });
  t.same(await sh('insmod /lib/modules/embed_model.ko'), { said: '', code: 0 });
  for (const call of ['open', 'settings', 'statistics', 'text', 'ids', 'read', 'close']) {
    const { said, code } = await sh(`fail-probe ${call}`);
    t.equal(code, 0, said.trim());
  }
  await stillAnswers(t, sh, manifest);
  t.same(await sh('rmmod embed_model'), { said: '', code: 0 });
  await everyFailureOfLoading(t, sh);
  t.same(await sh('insmod /lib/modules/embed_model.ko'), { said: '', code: 0 });
  await stillAnswers(t, sh, manifest);
  t.same(await sh('rmmod embed_model'), { said: '', code: 0 });
}

/** In portions, since each time the weights are read and checked. */
async function everyFailureOfLoading(t: Test, sh: Shell): Promise<void> {
  const portion = 40;
  for (let first = 1, tried = portion; tried === portion; first += portion) {
    const { said, code } = await sh(`fail-probe load /lib/modules/embed_model.ko ${first}`);
    t.equal(code, 0, `from ${first}: ${said.trim()}`);
    tried = Number(/: (\d+) failures/.exec(said)?.[1]);
  }
}

/** Answers are made by workers of the kernel, whose allocations fail now and then. */
export async function workersWithoutMemory(t: Test, sh: Shell, manifest: Manifest): Promise<void> {
  t.match(await sh(ready), { code: 0 });
  t.same(await sh('insmod /lib/modules/embed_model.ko'), { said: '', code: 0 });
  const workers =
    'for c in /proc/[0-9]*/comm; do grep -q ^kworker/u $c && echo 1 > $(dirname $c)/make-it-fail; done';
  const failing = 'cd /sys/kernel/debug/failslab; echo Y > task-filter; echo 1000000 > times';
  const asking = 'em-ask -n 2 -i 1,2,3 2>&1 | grep -o "Cannot allocate memory"; echo asked';
  const { said } = await sh(
    `${failing}; for i in $(seq 30); do ${workers}; echo 40 > probability; ${asking}; echo 0 > probability; done`,
  );
  t.equal(said.match(/asked/g)?.length, 30);
  const refused = said.match(/Cannot allocate memory/g)?.length ?? 0;
  t.ok(refused > 0 && refused < 30, `${refused} of 30 answers could not be made`);
  await stillAnswers(t, sh, manifest);
  t.same(await sh('rmmod embed_model'), { said: '', code: 0 });
}
