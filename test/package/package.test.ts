/** What a user gets: the packed tarball, installed elsewhere with production dependencies alone. */
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import t, { type Test } from 'tap';
import { findNpm } from '../../codegen/compile/find-npm.js';
import { findToolchain } from '../../codegen/compile/toolchain.js';
import { findTarget, targets } from '../../targets/index.js';
import { projectRoot } from '../end-to-end/tiny-bundles.js';
import { unportable } from '../portability/names.js';

const folder = mkdtempSync(join(tmpdir(), 'em package 板-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** Runs a script of this Node to its end. */
function node(args: readonly string[], cwd: string): Promise<Ended> {
  const started = performance.now();
  const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    said.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    said.stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...said, ms: performance.now() - started }));
  });
}

interface Tarball {
  readonly path: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly string[];
}

/**
 * Packs a copy of the project as it is compiled now, without what earlier compilations left in dist: `npm pack`
 * itself compiles anew.
 */
async function pack(npm: string): Promise<Tarball> {
  const copy = join(folder, 'project');
  mkdirSync(copy);
  for (const name of [
    'package.json',
    'bin',
    'codegen/calibrate/native',
    'templates',
    'models',
    'docs',
    'LICENSE',
    'README.md',
    'test',
  ]) {
    if (existsSync(join(projectRoot, name))) {
      cpSync(join(projectRoot, name), join(copy, name), { recursive: true, dereference: true });
    }
  }
  cpSync(join(projectRoot, 'dist'), join(copy, 'dist'), {
    recursive: true,
    filter: (path) => {
      const source = relative(join(projectRoot, 'dist'), path).replace(/(?:\.d\.ts|\.js(?:\.map)?)$/, '.ts');
      return path.endsWith('.wasm') || existsSync(join(projectRoot, source));
    },
  });
  const { code, stdout, stderr } = await node([npm, 'pack', '--ignore-scripts', '--json'], copy);
  if (code !== 0) {
    throw new Error(`npm pack: ${stderr}`);
  }
  const [{ filename, size, unpackedSize, files }] = JSON.parse(stdout);
  const paths = files.map(({ path }: { path: string }) => path);
  return { path: join(copy, filename), size, unpackedSize, files: paths };
}

const npm = await findNpm();

t.test('the tarball', { skip: npm === undefined && 'no npm' }, async (t) => {
  const tarball = await pack(npm!);
  t.comment(`${tarball.files.length} files, ${tarball.size} bytes packed, ${tarball.unpackedSize} unpacked`);
  t.same(
    tarball.files.filter((path) => /(?:^|\/)test|\.map$|\.target\.|node_modules|\.tgz$/.test(path)),
    [],
    'neither tests nor maps',
  );
  t.same(unportable(tarball.files), []);
  const needed = ['bin/embed-model.js', 'dist/codegen/cli.js', 'dist/targets/evaluate-target.js', 'LICENSE'];
  const runner = [
    'templates/runner/em-run.c',
    'templates/runner/embedded_blob.S',
    'templates/model.c.hbs',
    'codegen/calibrate/native/matmul.c',
  ];
  for (const path of [...needed, ...runner, 'models/os-nano/model.safetensors']) {
    t.ok(tarball.files.includes(path), path);
  }

  const place = join(folder, 'somewhere else');
  mkdirSync(place);
  writeFileSync(join(place, 'package.json'), '{ "private": true }');
  const options = ['--omit=dev', '--no-audit', '--no-fund', '--prefer-offline', '--fetch-retries=0'];
  const installed = await node([npm!, 'install', ...options, tarball.path], place);
  const offline = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT|ENOTCACHED/.exec(
    installed.stderr,
  )?.[0];
  t.test('installed', { skip: offline !== undefined && `no network: ${offline}` }, async (t) => {
    t.equal(installed.code, 0, installed.stderr);
    await useInstalled(t, place);
  });
});

async function useInstalled(t: Test, place: string): Promise<void> {
  const modules = readdirSync(join(place, 'node_modules')).filter((name) => !name.startsWith('.'));
  t.notOk(
    modules.some((name) => ['tap', 'typescript', 'assemblyscript'].includes(name)),
    modules.join(' '),
  );
  const npx = join(dirname(npm!), 'npx-cli.js');
  const run = (...args: string[]) => node([npx, '--no', '--', 'embed-model', ...args], place);

  const help = await run('--help');
  t.equal(help.code, 0, help.stderr);
  t.match(help.stdout, /embed-model/);
  const bin = join(place, 'node_modules', 'embed-model', 'bin', 'embed-model.js');
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    times.push((await node([bin, '--help'], place)).ms);
  }
  t.comment(`node ${basename(bin)} --help: ${times.map((ms) => ms.toFixed(0)).join(', ')} ms`);

  const listed = await run('targets', '--json');
  t.same(
    JSON.parse(listed.stdout).targets.map(({ name }: { name: string }) => name),
    targets.map(({ name }) => name),
  );

  const own = join(place, 'mine.target.ts');
  writeFileSync(
    own,
    `import { targets, type Target } from 'embed-model';\r\n` +
      `export default { ...targets.find(({ name }) => name === 'riscv-u74')!, name: 'mine' } satisfies Target;\r\n`,
  );
  const target = await findTarget('riscv-u74');
  const obstacle = await findToolchain(target).then(
    () => false as const,
    (error: Error) => error.message,
  );
  t.test('builds the bundled model', { skip: obstacle }, async (t) => {
    for (const name of ['riscv-u74', own]) {
      const built = await run(
        '--target',
        name,
        '--out',
        'my bundle',
        '--tokens',
        '4',
        '--json',
        '--no-fetch',
      );
      t.equal(built.code, 0, built.stderr);
      const result = JSON.parse(built.stdout);
      t.match(result, { target: name === own ? 'mine' : name, schemaVersion: 1 });
      t.not(result.output.matchesGolden, false);
    }
    const bundle = join(place, 'my bundle');
    const files = Object.keys(JSON.parse(readFileSync(join(bundle, 'manifest.json'), 'utf8')).files);
    t.same(unportable(files), [], 'a bundle that can be copied to any machine');
  });
}
