/** What goes with the kernel module on a stock Debian kernel, and many processes that come and go. */
import t, { type Test } from 'tap';
import { client, interfaceFiles, linked, signedWeights } from './interface-suite.js';
import { bootWith, complaints, moduleBundle, moduleFiles, type Shell } from './module-board.js';
import { cycles } from './module-cycles.js';
import { type Machine, machines } from './qemu-board.js';

t.setTimeout(2_400_000);

const [x86] = machines as readonly [Machine];

t.test(x86.name, async (t) => {
  const built = await moduleBundle(x86);
  if (typeof built === 'string') return t.plan(0, built);
  const single = await moduleBundle(x86, { singleFile: true });
  if (typeof single === 'string') return t.plan(0, single);
  const files = { ...moduleFiles(built), ...interfaceFiles(t, built, single) };
  const sh = await bootWith(t, x86, built.image, files);
  const before = complaints((await sh('dmesg')).said).length;
  await t.test('weights linked in', (t) => linked(t, sh, single.manifest));
  await t.test('signed weights', (t) => signedWeights(t, sh, built.manifest));
  await t.test('a module that asks', (t) => client(t, sh, built.manifest));
  await t.test('processes that come and go', (t) => cycles(t, sh, 25));
  t.equal(complaints((await sh('dmesg')).said).length, before);
  await t.test('a signed module', (t) => signedModule(t, sh));
});

/** A kernel that wants signatures refuses both with EKEYREJECTED, and its log tells no signature from a key that it has not. */
async function signedModule(t: Test, sh: Shell): Promise<void> {
  t.same(await sh(`insmod /lib/modules/signed.ko; rmmod embed_model`), { said: '', code: 0 });
  await sh('echo 1 > /sys/module/module/parameters/sig_enforce');
  t.match(await sh(`insmod /lib/modules/embed_model.ko`), { code: 129 });
  t.match(await sh('dmesg -c'), { said: /Loading of unsigned module is rejected/ });
  t.match(await sh(`insmod /lib/modules/signed.ko`), { code: 129 });
  t.match(await sh('dmesg'), { said: /Loading of module with unavailable key is rejected/ });
}
