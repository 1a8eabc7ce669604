/** What can be tested here of working on other systems: names, line ends, and nothing that only one of them has. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { DryRun } from '../../codegen/dry-run.js';
import { targets } from '../../targets/index.js';
import { embedModel } from '../codegen/commands/embed-model.js';
import {
  cannotRun,
  projectRoot,
  temporaryFolder,
  tinyModels,
  writeCheckpoint,
} from '../end-to-end/tiny-bundles.js';
import { unportable } from './names.js';

t.setTimeout(300_000);

const work = temporaryFolder(t);
const model = writeCheckpoint(tinyModels[1]!, join(work, 'model'));
const skips = await Promise.all(targets.map((target) => cannotRun(target)));
const host = targets.find((_, i) => skips[i] === false);

t.test('the check of names finds what it looks for', async (t) => {
  t.strictSame(unportable(['src/a.c', 'src/b.c', 'docs/aux-files.md']), []);
  const bad = ['src/A.c', 'src/a.c', 'aux.c', 'x/con', 'what?.h', 'end.', 'u\u0308.c', 'Ü.c'];
  t.strictSame(unportable(bad).sort(), ['src/a.c', 'aux.c', 'x/con', 'what?.h', 'end.', 'Ü.c'].sort());
});

t.test('names of emitted files, for every target', async (t) => {
  for (const { name } of targets) {
    const args = ['--target', name, '--model', model, '--single-file', '--dry-run', '--json', '--quiet'];
    const { code, stdout, stderr } = await embedModel([...args, '--out', 'bundle'], { cwd: work });
    if (code === 3) {
      t.skip(`${name}: ${stderr.split('\n', 1)[0]}`, () => {});
      continue;
    }
    const { files }: DryRun = JSON.parse(stdout).dryRun;
    const paths = files.map(({ path }) => path.slice(work.length + 1).replaceAll('\\', '/'));
    t.ok(paths.length > 30);
    t.strictSame(unportable(paths), [], name);
  }
});

/** Files below a folder of the project, with slashes. */
const filesIn = (folder: string) =>
  readdirSync(join(projectRoot, folder), { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(projectRoot.length + 1)
        .replaceAll('\\', '/'),
    );
const folders = [
  'bin',
  'codegen',
  'deploy',
  'docs',
  'examples',
  'models',
  'scripts',
  'targets',
  'templates',
  'test',
];

t.test('names of the sources', async (t) => {
  t.strictSame(unportable(folders.flatMap(filesIn)), []);
});

t.test('the program knows no folder of one system, and no shell', async (t) => {
  const sources = ['bin', 'codegen', 'deploy', 'targets']
    .flatMap(filesIn)
    .filter((name) => /\.[jt]s$/.test(name));
  t.ok(sources.length > 100);
  for (const name of sources) {
    const code = readFileSync(join(projectRoot, name), 'utf8').replace(/^\s*(?:\/\/|\*|\/\*).*$/gm, '');
    // What these write runs on boards, which are POSIX systems.
    if (!/^deploy\/(?:serial|session|ssh)\//.test(name)) {
      t.notMatch(code, /['"`](?:\/usr|\/bin|\/opt|\/tmp|\/home|[A-Z]:\\)/, `${name}: absolute path`);
    }
    t.notMatch(
      code,
      /shell: true|\bexecSync\(|\bexec\(`|['"](?:sh|bash|cmd\.exe)['"], \[?['"](?:-c|\/c)/,
      `${name}: shell`,
    );
  }
});

t.test(
  'line ends of Windows in what a user writes',
  { skip: host === undefined && 'no target runs here' },
  async (t) => {
    const plan = JSON.stringify(
      {
        schemaVersion: 1,
        name: 'mine',
        groupSize: 32,
        rules: [
          { match: 'head', format: 'w8' },
          { match: '*', format: 'w5' },
        ],
      },
      null,
      2,
    );
    const digests = await Promise.all(
      ['\n', '\r\n'].map(async (end, i) => {
        const folder = join(work, `model${i}`);
        writeCheckpoint(tinyModels[1]!, folder);
        const rewrite = (path: string, text: string) => writeFileSync(path, text.replace(/\r?\n/g, end));
        for (const name of ['config.json', 'tokenizer.json']) {
          rewrite(
            join(folder, name),
            JSON.stringify(JSON.parse(readFileSync(join(folder, name), 'utf8')), null, 2),
          );
        }
        rewrite(join(folder, 'plan.json'), plan);
        const args = ['--target', host!.name, '--model', folder, '--quantize', join(folder, 'plan.json')];
        const { code, stdout, stderr } = await embedModel([
          ...args,
          '--out',
          join(work, `out${i}`),
          '--json',
          '--quiet',
        ]);
        t.equal(code, 0, stderr);
        const { build, output } = JSON.parse(stdout);
        return { quantized: build.quantizedSha256, digest: output.logitsDigest, ids: output.tokenIds };
      }),
    );
    t.strictSame(digests[1], digests[0]);
  },
);
