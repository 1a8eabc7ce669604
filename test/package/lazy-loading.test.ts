/** Which packages a command loads: the large ones only where they are needed. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t, { type Test } from 'tap';
import { embedModel, projectRoot } from '../codegen/commands/embed-model.js';
import { temporaryFolder, tinyModels, writeCheckpoint } from '../end-to-end/tiny-bundles.js';

const work = temporaryFolder(t);
const log = join(work, 'loaded');

// A hook of Node's module loader that writes down every module.
const hooks = join(work, 'hooks.mjs');
writeFileSync(
  hooks,
  `import { appendFileSync } from 'node:fs';
export async function load(url, context, next) {
  appendFileSync(${JSON.stringify(log)}, url + '\\n');
  return next(url, context);
}
`,
);
const register = join(work, 'register.mjs');
writeFileSync(
  register,
  `import { register } from 'node:module';\nregister(${JSON.stringify(pathToFileURL(hooks).href)});\n`,
);

/** Modules that a command line loads: URLs. */
async function loaded(t: Test, args: readonly string[]): Promise<string[]> {
  writeFileSync(log, '');
  const { code, stderr } = await embedModel(args, {
    cwd: work,
    env: { NODE_OPTIONS: `--import=${pathToFileURL(register).href}` },
  });
  t.equal(code, 0, stderr);
  return readFileSync(log, 'utf8').split('\n');
}

/** The dependencies among modules. */
const { dependencies } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'));
const packagesIn = (modules: readonly string[]) =>
  Object.keys(dependencies).filter((name) => modules.some((url) => url.includes(`/node_modules/${name}/`)));

t.test('help, version and completion load no package, and few modules', async (t) => {
  for (const args of [
    ['--help'],
    ['build', '--help'],
    ['--version'],
    ['help', 'run'],
    ['completion', 'bash'],
  ]) {
    const modules = await loaded(t, args);
    t.strictSame(packagesIn(modules), [], args.join(' '));
    const stages = modules.filter((url) =>
      /\/dist\/codegen\/(?:calibrate|emit|evaluate|lower|tokenizer)\//.test(url),
    );
    t.strictSame(stages, [], `${args.join(' ')}: no stage`);
    t.ok(
      modules.some((url) => url.endsWith('/dist/codegen/cli.js')),
      'the hook works',
    );
  }
});

t.test('packages come with what needs them', async (t) => {
  t.strictSame(
    packagesIn(await loaded(t, ['inspect', writeCheckpoint(tinyModels[1]!, join(work, 'model'))])),
    [],
  );
  const plan = await loaded(t, ['--target', 'riscv-u74', '--model', 'model', '--dry-run', '--quiet']);
  t.strictSame(packagesIn(plan), ['handlebars'], 'C is made, no file is written, no tool started');
  t.strictSame(packagesIn(await loaded(t, ['targets'])), ['zx']);
});
