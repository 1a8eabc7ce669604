/** What goes with the kernel module: weights linked in, signatures, and other modules. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Manifest } from '../../codegen/bundle/manifest.js';
import { scratchFolder } from './board-bundle.js';
import { repository } from './board-cache.js';
import { askCommands, type ModuleBundle, type Shell } from './module-board.js';

const load = 'insmod /lib/modules';
const release = 'rmmod embed_model';

/** What kbuild makes of a folder, as somebody does it by hand, without debug information. */
export function makeModule(
  headers: string,
  folder: string,
  name: string,
  settings: readonly string[] = [],
): string {
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

/** What a board of these tests has beside the module: path there to path here. `single`: with the weights linked in. */
export function interfaceFiles(
  t: Test,
  { headers, folder, bundle, manifest }: ModuleBundle,
  single: ModuleBundle,
): Record<string, string> {
  const [signer, other] = [makeSigner('weights of a test'), makeSigner('somebody else')];
  const [sources, client] = [join(folder, 'by-hand'), join(folder, 'client')];
  for (const part of ['src', 'module']) cpSync(join(bundle, part), join(sources, part), { recursive: true });
  copyFileSync(join(signer, 'cert.x509'), join(sources, 'module', 'signer.x509'));
  const module = join(sources, 'module');
  const signed = makeModule(headers, module, 'embed_model.ko');
  cpSync(join(repository, 'examples', 'kernel-client'), client, { recursive: true });
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
    'lib/modules/linked.ko': join(single.bundle, 'module', 'embed_model.ko'),
    'lib/modules/wants_signed.ko': signed,
    'lib/modules/client.ko': asking,
    'lib/modules/signed.ko': withSignature,
    [`${firmware}.good`]: signFile(signer, blob, join(folder, 'good.p7s')),
    [`${firmware}.other`]: signFile(other, blob, join(folder, 'other.p7s')),
    [`${firmware}.wrong`]: signFile(signer, join(bundle, 'manifest.json'), join(folder, 'wrong.p7s')),
  };
}

export async function linked(t: Test, sh: Shell, manifest: Manifest): Promise<void> {
  const hide = 'mv /lib/firmware /lib/hidden';
  t.same(await sh(`${hide}; ${load}/linked.ko selftest=1`), { said: '', code: 0 });
  for (const { run, ids } of askCommands(manifest))
    t.match((await sh(ids)).said, `digest ${run.logitsDigest}`);
  t.same(await sh(`${release}; mv /lib/hidden /lib/firmware`), { said: '', code: 0 });
}

/** Errors as insmod's exit code: 2 ENOENT, 74 EBADMSG, 126 ENOKEY, 129 EKEYREJECTED. */
export async function signedWeights(t: Test, sh: Shell, manifest: Manifest): Promise<void> {
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

export async function client(t: Test, sh: Shell, manifest: Manifest): Promise<void> {
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
