/** build --kernel-module on a tiny checkpoint: sources, what dry runs say of them, and makes that fail. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import t from 'tap';
import { runningKernelHeaders } from '../../../codegen/module/kernel-headers.js';
import { targets } from '../../../targets/index.js';
import { cannotRun, temporaryFolder, tinyModels, writeCheckpoint } from '../../end-to-end/tiny-bundles.js';
import { embedModel } from '../commands/embed-model.js';

const target = targets.find(({ name }) => name === 'x86_64-swar')!;
const skip = await cannotRun(target);

t.setTimeout(300_000);

const work = temporaryFolder(t);
const model = writeCheckpoint(tinyModels[3], join(work, 'model'));
const common = ['build', '--target', target.name, '--model', model, '--no-run', '--kernel-module'];
const run = (args: readonly string[]) => embedModel([...common, ...args], { cwd: work, env: {} });

t.test('sources of the module, as the dry run says', { skip }, async (t) => {
  const planned = await run(['--out', 'bundle', '--dry-run', '--json']);
  t.equal(planned.code, 0, planned.stderr);
  const files: { path: string; bytes: number | null }[] = JSON.parse(planned.stdout).dryRun.files;
  const built = await run(['--out', 'bundle']);
  t.equal(built.code, 0, built.stderr);
  const folder = join(work, 'bundle', 'module');
  const inModule = files
    .filter(({ path }) => path.startsWith(folder))
    .map(({ path, bytes }) => [relative(folder, path), bytes ?? statSync(path).size]);
  const made = readdirSync(folder).map((name) => [name, statSync(join(folder, name)).size]);
  t.strictSame(inModule.sort(), made.sort());
  const manifest = JSON.parse(readFileSync(join(work, 'bundle', 'manifest.json'), 'utf8'));
  t.match(manifest.kernelModule.firmware, manifest.build.id.slice(0, 16));
  t.match(manifest.files['module/Kbuild'], /^[0-9a-f]{64}$/);
  if (runningKernelHeaders(target) === null) {
    t.equal(manifest.kernelModule.kernel, null);
    t.match(built.stderr, /give --kernel-headers/);
  }
});

t.test('weights for a module that they are linked into', { skip }, async (t) => {
  const args = ['--out', 'linked', '--single-file'];
  const planned = await run([...args, '--dry-run', '--json']);
  const files: { path: string; bytes: number | null }[] = JSON.parse(planned.stdout).dryRun.files;
  const built = await run(args);
  t.equal(built.code, 0, built.stderr);
  const blob = join(work, 'linked', 'module', 'model.blob');
  const other = join(work, 'bundle', 'model.blob');
  t.equal(files.find(({ path }) => path === blob)?.bytes, statSync(blob).size);
  t.ok(readFileSync(blob).equals(readFileSync(other)));
  t.match(readFileSync(join(work, 'linked', 'module', 'names.h'), 'utf8'), /EM_WEIGHTS_LINKED 1/);
  const manifest = JSON.parse(readFileSync(join(work, 'linked', 'manifest.json'), 'utf8'));
  t.equal(manifest.kernelModule.firmware, null);
});

t.test('a makefile that fails leaves no bundle', { skip }, async (t) => {
  const headers = join(work, 'headers');
  mkdirSync(join(headers, 'include', 'config'), { recursive: true });
  writeFileSync(join(headers, 'Makefile'), 'modules:\n\t@echo no such thing >&2; false\n');
  writeFileSync(join(headers, 'include', 'config', 'auto.conf'), '\nCONFIG_X86_64=y\nCONFIG_MODULES=y\n');
  writeFileSync(join(headers, 'include', 'config', 'kernel.release'), '6.1.0\n');
  const built = await run(['--out', 'failed', '--kernel-headers', headers]);
  t.equal(built.code, 3);
  t.match(built.stderr, /EM3002.*no such thing|EM3004/s);
  t.notOk(readdirSync(work).includes('failed'));
});
