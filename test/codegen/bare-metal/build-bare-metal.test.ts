/** build --bare-metal on a tiny checkpoint: sources and image, as the dry run says; what keeps it from being built. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import t from 'tap';
import { targets } from '../../../targets/index.js';
import { cannotRun, temporaryFolder, tinyModels, writeCheckpoint } from '../../end-to-end/tiny-bundles.js';
import { embedModel } from '../commands/embed-model.js';

const target = targets.find(({ name }) => name === 'riscv-u74')!;
const skip = await cannotRun(target);

t.setTimeout(300_000);

const work = temporaryFolder(t);
const model = writeCheckpoint(tinyModels[3], join(work, 'model'));
const common = ['build', '--target', target.name, '--model', model, '--no-run'];
const run = (args: readonly string[]) => embedModel([...common, ...args], { cwd: work, env: {} });

t.test('sources and image, as the dry run says', { skip }, async (t) => {
  const options = ['--out', 'bundle', '--bare-metal', 'virt-riscv64'];
  const planned = await run([...options, '--dry-run', '--json']);
  t.equal(planned.code, 0, planned.stderr);
  const { files, commands } = JSON.parse(planned.stdout).dryRun as {
    files: { path: string; bytes: number | null }[];
    commands: { command: string[] }[];
  };
  t.ok(
    commands.some(({ command }) => command.includes('-Wl,-T,bare-metal/link.ld')),
    'the linker is planned',
  );
  const built = await run(options);
  t.equal(built.code, 0, built.stderr);
  const folder = join(work, 'bundle', 'bare-metal');
  const expected = files
    .filter(({ path }) => path.startsWith(folder))
    .map(({ path, bytes }) => [relative(folder, path), bytes ?? statSync(path).size]);
  const made = readdirSync(folder).map((name) => [name, statSync(join(folder, name)).size]);
  t.strictSame(expected.sort(), made.sort());

  const manifest = JSON.parse(readFileSync(join(work, 'bundle', 'manifest.json'), 'utf8'));
  const { board, image, imageBytes, loadAddress, memoryBytes, stackBytes } = manifest.bareMetal;
  t.strictSame([board, image, loadAddress], ['virt-riscv64', 'bare-metal/em-bare.elf', 0x80000000]);
  t.equal(imageBytes, statSync(join(work, 'bundle', image)).size);
  const { blobBytes, arenaBytes } = manifest.memory;
  t.ok(memoryBytes > blobBytes + arenaBytes + stackBytes, 'memory counts weights, arena and stack');
  t.ok(memoryBytes < blobBytes + arenaBytes + stackBytes + 200_000, 'and little else');
  t.match(manifest.files[image], /^[0-9a-f]{64}$/);
});

t.test('the image is the same from the same model', { skip }, async (t) => {
  const image = (name: string) => readFileSync(join(work, name, 'bare-metal', 'em-bare.elf'));
  const built = await run(['--out', 'again', '--bare-metal', 'virt-riscv64']);
  t.equal(built.code, 0, built.stderr);
  t.ok(image('again').equals(image('bundle')));
});

for (const [board, code, says] of [
  ['toaster', 'EM1202', /virt-aarch64, raspi3b/],
  ['raspi3b', 'EM5006', /riscv64/],
] as const) {
  t.test(`--bare-metal ${board} is refused before any work`, async (t) => {
    const { code: exit, stderr } = await run(['--out', 'refused', '--bare-metal', board]);
    t.equal(exit, 2);
    t.match(stderr, code);
    t.match(stderr, says);
    t.notOk(readdirSync(work).includes('refused'));
  });
}

t.test('without the compiler of the board', async (t) => {
  const options = ['--out', 'refused', '--bare-metal', 'virt-riscv64', '--no-fetch'];
  const { code, stderr } = await embedModel([...common, ...options], {
    cwd: work,
    env: { PATH: '/nowhere' },
  });
  t.equal(code, 3);
  t.match(stderr, /EM300\d/);
  t.notOk(readdirSync(work).includes('refused'));
});
