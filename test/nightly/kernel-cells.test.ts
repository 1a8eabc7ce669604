/** The kernel module on Debian 13's kernels: digests of the golden runs in vector registers and in general registers. */
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { boardHeaders } from '../boards/kernel-board.js';
import { askCommands, bootWith, complaints, moduleBundle, moduleFiles } from '../boards/module-board.js';
import { boardImage, type Machine, machines } from '../boards/qemu-board.js';

t.setTimeout(3_600_000);

const [x86, arm] = machines as readonly [Machine, Machine];

async function answers(t: Test, machine: Machine): Promise<void> {
  const image = boardImage(machine);
  if (typeof image === 'string') return t.plan(0, image);
  const headers = boardHeaders(machine, image);
  if (typeof headers === 'string') return t.plan(0, headers);
  // The compiler that the flags of this kernel want, where it is not installed.
  process.env.PATH = `${process.env.PATH}:${join(dirname(headers.folder), 'bin')}`;
  const built = await moduleBundle(machine);
  if (typeof built === 'string') return t.plan(0, built);
  const sh = await bootWith(t, machine, image, moduleFiles(built));
  t.match(await sh('uname -r'), { said: /deb13/ });
  const before = complaints((await sh('dmesg')).said).length;
  for (const simd of [1, 0]) {
    t.same(await sh(`insmod /lib/modules/embed_model.ko selftest=1 simd=${simd}`), { said: '', code: 0 });
    t.same(await sh('cat /sys/class/misc/embed_model/simd'), { said: `${simd}\n`, code: 0 });
    for (const { run, text } of askCommands(built.manifest)) {
      t.match((await sh(text)).said, `digest ${run.logitsDigest}`);
    }
    t.same(await sh('rmmod embed_model'), { said: '', code: 0 });
  }
  t.equal(complaints((await sh('dmesg')).said).length, before);
}

for (const machine of [x86, arm]) {
  t.test(`${machine.name}, Debian 13`, (t) => answers(t, { ...machine, suite: 'trixie' }));
}
