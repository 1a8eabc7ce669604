/** What goes with the kernel module: weights linked in, signatures, other modules, and many processes that come and go. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { Manifest } from '../../codegen/bundle/manifest.js';
import { scratchFolder } from './board-bundle.js';
import {
  askCommands,
  bootWith,
  complaints,
  type ModuleBundle,
  moduleBundle,
  moduleFiles,
  type Shell,
} from './module-board.js';
import { type Machine, machines } from './qemu-board.js';

t.setTimeout(2_400_000);

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const [x86] = machines as readonly [Machine];
const load = 'insmod /lib/modules';
const release = 'rmmod embed_model';

/** What kbuild makes of a folder, as somebody does it by hand, without debug information. */
function makeModule(headers: string, folder: string, name: string, settings: readonly string[] = []): string {
  execFileSync('make', ['-C', headers, `M=${folder}`, ...settings], { stdio: 'pipe' });
  const built = join(folder, name);
  execFileSync('strip', ['--strip-debug', built]);
  return built;
}

/** A key and its certificate, self-signed: key.pem, cert.pem, cert.x509 (DER). */
function makeSigner(name: string): string {
  const folder = scratchFolder('signer');
  const [key, pem] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', `/CN=${name}`, '-days', '36500', '-sha256', '-newkey', 'rsa:2048', '-nodes'];
  execFileSync('openssl', ['req', '-x509', ...subject, '-keyout', key, '-out', pem], { stdio: 'pipe' });
  execFileSync('openssl', ['x509', '-in', pem, '-outform', 'DER', '-out', join(folder, 'cert.x509')]);
  return folder;
}

/** The detached signature of a file, as docs/kernel.md makes it. */
function signFile(signer: string, file: string, out: string): string {
  const keys = ['-signer', join(signer, 'cert.pem'), '-inkey', join(signer, 'key.pem')];
  const form = ['-binary', '-noattr', '-nocerts', '-md', 'sha256', '-outform', 'DER'];
  execFileSync('openssl', ['cms', '-sign', ...form, '-in', file, ...keys, '-out', out], { stdio: 'pipe' });
  return out;
}

/** The module built by hand with a certificate, a client of it, and a copy that is signed itself. */
function madeByHand({ headers, folder, bundle, manifest }: ModuleBundle) {
  const [signer, other] = [makeSigner('weights of a test'), makeSigner('somebody else')];
  const [sources, client] = [join(folder, 'by-hand'), join(folder, 'client')];
  for (const part of ['src', 'module']) cpSync(join(bundle, part), join(sources, part), { recursive: true });
  copyFileSync(join(signer, 'cert.x509'), join(sources, 'module', 'signer.x509'));
  const module = join(sources, 'module');
  const signed = makeModule(headers, module, 'embed_model.ko');
  cpSync(join(root, 'examples', 'kernel-client'), client, { recursive: true });
  const symbols = [`MODULE=${module}`, `KBUILD_EXTRA_SYMBOLS=${join(module, 'Module.symvers')}`];
  const asking = makeModule(headers, client, 'embed_model_client.ko', symbols);
  const withSignature = join(folder, 'signed.ko');
  const signFileProgram = join(headers, 'scripts', 'sign-file');
  const pair = [join(signer, 'key.pem'), join(signer, 'cert.x509')];
  execFileSync(signFileProgram, ['sha256', ...pair, join(bundle, 'module', 'embed_model.ko'), withSignature]);
  t.equal(
    execFileSync('modinfo', ['-F', 'signer', withSignature], { encoding: 'utf8' }),
    'weights of a test\n',
  );
  const blob = join(bundle, 'model.blob');
  const firmware = `lib/firmware/${manifest.kernelModule!.firmware}`;
  return {
    'lib/modules/wants_signed.ko': signed,
    'lib/modules/client.ko': asking,
    'lib/modules/signed.ko': withSignature,
    [`${firmware}.good`]: signFile(signer, blob, join(folder, 'good.p7s')),
    [`${firmware}.other`]: signFile(other, blob, join(folder, 'other.p7s')),
    [`${firmware}.wrong`]: signFile(signer, join(bundle, 'manifest.json'), join(folder, 'wrong.p7s')),
  };
}

t.test(x86.name, async (t) => {
  const built = await moduleBundle(x86);
  if (typeof built === 'string') return t.plan(0, built);
  const single = await moduleBundle(x86, { singleFile: true });
  if (typeof single === 'string') return t.plan(0, single);
  const sh = await bootWith(t, x86, built.image, {
    ...moduleFiles(built),
    ...madeByHand(built),
    'lib/modules/linked.ko': join(single.bundle, 'module', 'embed_model.ko'),
  });
  const before = complaints((await sh('dmesg')).said).length;
  await t.test('weights linked in', (t) => linked(t, sh, single.manifest));
  await t.test('signed weights', (t) => signedWeights(t, sh, built.manifest));
  await t.test('a module that asks', (t) => client(t, sh, built.manifest));
  await t.test('processes that come and go', (t) => cycles(t, sh, 25));
  t.equal(complaints((await sh('dmesg')).said).length, before);
  await t.test('a signed module', (t) => signedModule(t, sh));
});

async function linked(t: Test, sh: Shell, manifest: Manifest): Promise<void> {
  const hide = 'mv /lib/firmware /lib/hidden';
  t.same(await sh(`${hide}; ${load}/linked.ko selftest=1`), { said: '', code: 0 });
  for (const { run, ids } of askCommands(manifest))
    t.match((await sh(ids)).said, `digest ${run.logitsDigest}`);
  t.same(await sh(`${release}; mv /lib/hidden /lib/firmware`), { said: '', code: 0 });
}

/** Errors as insmod's exit code: 2 ENOENT, 74 EBADMSG, 126 ENOKEY, 129 EKEYREJECTED. */
async function signedWeights(t: Test, sh: Shell, manifest: Manifest): Promise<void> {
  const blob = `/lib/firmware/${manifest.kernelModule!.firmware}`;
  const signature = `${blob}.p7s`;
  t.match(await sh(`${load}/wants_signed.ko`), { code: 2 }, 'no signature');
  t.match(await sh(`cp ${blob}.other ${signature}; ${load}/wants_signed.ko`), { code: 126 }, 'another key');
  t.match(await sh(`cp ${blob}.wrong ${signature}; ${load}/wants_signed.ko`), { code: 129 }, 'other bytes');
  t.match(await sh(`echo x > ${signature}; ${load}/wants_signed.ko`), { code: 74 }, 'no signature at all');
  t.same(await sh(`cp ${blob}.good ${signature}; ${load}/wants_signed.ko`), { said: '', code: 0 });
  t.match(await sh('dmesg'), { said: /signature of the weights is good/ });
  t.match(await sh(`em-ask -n 2 PCI; ${release}`), { code: 0 });
}

async function client(t: Test, sh: Shell, manifest: Manifest): Promise<void> {
  const run = manifest.golden.find(({ sampling }) => sampling.temperatureQ16 === 0)!;
  const ask = `${load}/client.ko tokens=${run.tokenIds.length} prompt='"${run.prompt}"'`;
  t.same(await sh(`${load}/embed_model.ko; ${ask}`), { said: '', code: 0 });
  t.match(
    (await sh('dmesg')).said,
    `embed_model_client: ${run.tokenIds.length} tokens, digest ${run.logitsDigest}`,
  );
  t.match(await sh(release), { code: 1 }, 'not while another module needs it');
  t.same(await sh(`rmmod embed_model_client; ${release}`), { said: '', code: 0 });
}

/** Kilobytes of the kernel's heaps, and what the module has of them: areas of vmalloc. */
async function memory(sh: Shell): Promise<{ slab: number; vmalloc: number }> {
  const { said } = await sh('sync; echo 3 > /proc/sys/vm/drop_caches; sleep 1; cat /proc/meminfo');
  const of = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(said)?.[1]);
  return { slab: of('Slab'), vmalloc: of('VmallocUsed') };
}

/** Eight processes, each so often: open, ask, be killed in the middle, which closes. */
async function cycles(t: Test, sh: Shell, each: number): Promise<void> {
  t.same(await sh(`${load}/embed_model.ko sessions=8`), { said: '', code: 0 });
  const one =
    'em-ask -n 100000 PCI >/dev/null 2>&1 & p=$!; usleep $((n * 3000 % 90000)); kill -9 $p; wait $p';
  const process = (count: number) =>
    `(n=0; while [ $n -lt ${count} ]; do n=$((n + 1)); ${one}; done) 2>/dev/null`;
  const eight = (count: number) => `${Array(8).fill(process(count)).join(' & ')} & wait`;
  await sh(eight(3));
  const before = await memory(sh);
  await sh(eight(each));
  const after = await memory(sh);
  t.comment(
    `${8 * each} cycles: Slab ${before.slab} to ${after.slab} kB, vmalloc ${before.vmalloc} to ${after.vmalloc} kB`,
  );
  t.ok(after.slab - before.slab < 1000, 'Slab grows by less than 5 kB a cycle');
  t.ok(after.vmalloc - before.vmalloc < 600, 'not one arena is left');
  t.same(await sh('cat /sys/class/misc/embed_model/sessions'), { said: '0\n', code: 0 });
  t.match(await sh(`em-ask -n 2 PCI; ${release}; grep -c em_generation_open /proc/vmallocinfo`), {
    said: /\n0\n$/,
  });
}

/** A kernel that wants signatures refuses both with EKEYREJECTED, and its log tells no signature from a key that it has not. */
async function signedModule(t: Test, sh: Shell): Promise<void> {
  t.same(await sh(`${load}/signed.ko; ${release}`), { said: '', code: 0 });
  await sh('echo 1 > /sys/module/module/parameters/sig_enforce');
  t.match(await sh(`${load}/embed_model.ko`), { code: 129 });
  t.match(await sh('dmesg -c'), { said: /Loading of unsigned module is rejected/ });
  t.match(await sh(`${load}/signed.ko`), { code: 129 });
  t.match(await sh('dmesg'), { said: /Loading of module with unavailable key is rejected/ });
}
