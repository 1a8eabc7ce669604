/** The same command gives the same bytes: in any folder, with any locale, time zone and temporary folder. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { treeHashes } from '../../codegen/bundle/bundle-files.js';
import { targets } from '../../targets/index.js';
import {
  cannotRun,
  embedModel,
  type TinyModel,
  temporaryFolder,
  tinyModels,
  writeCheckpoint,
} from './tiny-bundles.js';

t.setTimeout(1_800_000);

/** Places and settings that a careless program would let into its output. */
const surroundings = [
  { folder: 'plain', env: { LANG: 'C', TZ: 'UTC' } },
  {
    folder: 'a folder with spaces, ümlauts and 日本語',
    env: {
      LANG: 'tr_TR.UTF-8', // where the capital of i is not I
      LC_ALL: 'tr_TR.UTF-8',
      TZ: 'Pacific/Kiritimati',
      SOURCE_DATE_EPOCH: '1',
      QEMU_CPU: 'max',
    },
  },
  {
    folder: 'deep/er/and/deeper',
    env: { LANG: 'de_DE.UTF-8', LC_NUMERIC: 'de_DE.UTF-8', TZ: 'America/St_Johns' },
  },
];

interface Command {
  readonly target: string;
  readonly toolchain: 'gcc' | 'clang';
  readonly quantize: string;
  readonly model: TinyModel;
}

const commands: readonly Command[] = [
  { target: 'x86_64-avx2', toolchain: 'gcc', quantize: 'int8', model: tinyModels[0]! },
  { target: 'x86_64-avx2', toolchain: 'clang', quantize: 'int4', model: tinyModels[5]! },
  { target: 'cortex-a72', toolchain: 'gcc', quantize: 'int4', model: tinyModels[1]! },
  { target: 'riscv-u74', toolchain: 'gcc', quantize: 'mixed8', model: tinyModels[2]! },
];

/** Builds with paths relative to `folder`, so that the commands are equal to the letter, and returns the bundle. */
async function buildIn(t: Test, folder: string, command: Command, env: Readonly<Record<string, string>>) {
  const temporary = join(folder, 'temporary files');
  await mkdir(temporary, { recursive: true });
  writeCheckpoint(command.model, join(folder, 'model'));
  const { target, toolchain, quantize } = command;
  const options = { target, toolchain, quantize, model: 'model', out: 'bundle', prompt: 'the wind' };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const { code, stderr } = await embedModel(['build', ...args], {
    cwd: folder,
    env: { ...env, TMPDIR: temporary, HOME: folder },
  });
  t.equal(code, 0, 'exit code', { stderr });
  t.same(readdirSync(temporary), [], 'nothing left in the temporary folder');
  return join(folder, 'bundle');
}

/** Files of a bundle by path, without report/, which tells how long things took. */
function contents(bundle: string): Record<string, string> {
  const files = Object.entries(treeHashes(bundle)).filter(([path]) => !path.startsWith('report/'));
  return Object.fromEntries(files);
}

for (const command of commands) {
  const target = targets.find(({ name }) => name === command.target)!;
  const skip = await cannotRun(target, command.toolchain);
  t.test(`${command.target}, ${command.toolchain}, ${command.quantize}`, { skip }, async (t) => {
    const root = temporaryFolder(t);
    let first: Record<string, string> | undefined;
    for (const { folder, env } of surroundings) {
      const bundle = await buildIn(t, join(root, folder), command, env);
      const files = contents(bundle);
      first ??= files;
      t.same(files, first, `the same ${Object.keys(files).length} files in "${folder}"`);
      for (const path of Object.keys(files)) {
        if (readFileSync(join(bundle, path)).includes(root)) t.fail(`${path} holds the path it was built in`);
      }
      t.ok(statSync(join(bundle, 'bin/em-run')).mode & 0o100, 'the runner can be executed');
    }
    for (const path of ['manifest.json', 'model.blob', 'src/model.c', 'bin/em-run'])
      t.match(first, { [path]: /./ });
  });
}
