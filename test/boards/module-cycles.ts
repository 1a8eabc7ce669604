/** Processes that open the device, ask and are killed, and the kernel's memory before and after. */
import type { Test } from 'tap';
import type { Shell } from './module-board.js';

/** Kilobytes of the kernel's heaps, and what the module has of them: areas of vmalloc. */
async function memory(sh: Shell): Promise<{ slab: number; vmalloc: number }> {
  const { said } = await sh('sync; echo 3 > /proc/sys/vm/drop_caches; sleep 1; cat /proc/meminfo');
  const of = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(said)?.[1]);
  return { slab: of('Slab'), vmalloc: of('VmallocUsed') };
}

/** So many a command: none takes long, so that one that hangs is seen. */
const portion = 25;

/** Kilobytes that slabs may grow by on a kernel that keeps nothing for its own purposes. */
export const slabLimit = 1000;

/** Eight processes, each so often: open, ask, be killed in the middle, which closes. `slabKb`: what slabs may grow by. */
export async function cycles(t: Test, sh: Shell, each: number, slabKb = slabLimit): Promise<void> {
  t.same(await sh('insmod /lib/modules/embed_model.ko sessions=8'), { said: '', code: 0 });
  const one =
    'em-ask -n 100000 PCI >/dev/null 2>&1 & p=$!; usleep $((n * 3000 % 90000)); kill -9 $p; wait $p';
  const process = (count: number) =>
    `(n=0; while [ $n -lt ${count} ]; do n=$((n + 1)); ${one}; done) 2>/dev/null`;
  const eight = (count: number) => `${Array(8).fill(process(count)).join(' & ')} & wait`;
  await sh(eight(3));
  const before = await memory(sh);
  for (let done = 0; done < each; done += portion) await sh(eight(Math.min(portion, each - done)));
  const after = await memory(sh);
  t.comment(
    `${8 * each} cycles: Slab ${before.slab} to ${after.slab} kB, vmalloc ${before.vmalloc} to ${after.vmalloc} kB`,
  );
  t.ok(after.slab - before.slab < slabKb, `Slab grows by less than ${slabKb} kB`);
  t.ok(after.vmalloc - before.vmalloc < 600, 'not one arena is left');
  t.same(await sh('cat /sys/class/misc/embed_model/sessions'), { said: '0\n', code: 0 });
  t.match(await sh('em-ask -n 2 PCI; rmmod embed_model; grep -c em_generation_open /proc/vmallocinfo'), {
    said: /\n0\n$/,
  });
}
