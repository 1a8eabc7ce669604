/** The kernel module on stock Debian kernels: loads, answers with the golden logits, refuses what is wrong, and leaves nothing. */
import t, { type Test } from 'tap';
import { bootWith, moduleBundle } from './module-board.js';
import { moduleSuite, suiteFiles } from './module-suite.js';
import { type Machine, machines } from './qemu-board.js';

t.setTimeout(2_400_000);

const [x86, arm, sifive] = machines as readonly [Machine, Machine, Machine];

async function answers(t: Test, machine: Machine): Promise<void> {
  const built = await moduleBundle(machine);
  if (typeof built === 'string') {
    t.plan(0, built);
    return;
  }
  const sh = await bootWith(t, machine, built.image, suiteFiles(built));
  await moduleSuite(t, sh, built.manifest);
}

for (const machine of [x86, arm, sifive]) t.test(machine.name, (t) => answers(t, machine));
