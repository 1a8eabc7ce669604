/** Thousands of files that are opened, asked and closed by a kill, by eight processes at a time. */
import t from 'tap';
import { bootWith, complaints, moduleBundle, moduleFiles } from '../boards/module-board.js';
import { cycles } from '../boards/module-cycles.js';
import { type Machine, machines } from '../boards/qemu-board.js';

t.setTimeout(2 * 3_600_000);

const [x86] = machines as readonly [Machine];

t.test(x86.name, async (t) => {
  const built = await moduleBundle(x86);
  if (typeof built === 'string') return t.plan(0, built);
  const sh = await bootWith(t, x86, built.image, moduleFiles(built));
  const before = complaints((await sh('dmesg')).said).length;
  await cycles(t, sh, 625);
  t.equal(complaints((await sh('dmesg')).said).length, before);
});
