/** The catalogue, the sources, the tests and docs/errors.md agree on which errors there are. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { type DiagnosticCode, diagnostics } from '../../../codegen/diagnostics/catalog.js';
import { errorDocs } from '../../../codegen/diagnostics/error-docs.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', '..');
const codes = Object.keys(diagnostics) as DiagnosticCode[];

/** Texts of the TypeScript files below folders of the project, by path. */
function sources(folders: readonly string[], wanted: (path: string) => boolean): Map<string, string> {
  const paths = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  const files = paths.filter((path) => path.endsWith('.ts') && wanted(path));
  return new Map(files.map((path) => [path, readFileSync(join(root, path), 'utf8')]));
}

const catalogFolder = join('codegen', 'diagnostics');
const thisTest = join('test', 'codegen', 'diagnostics', 'catalog.test.ts');
const program = sources(['codegen', 'targets', 'deploy'], (path) => !path.startsWith(catalogFolder));
const tests = sources(['test'], (path) => path !== thisTest);

t.test('docs/errors.md is what scripts/write-error-docs.mjs makes', async (t) => {
  const written = readFileSync(join(root, 'docs', 'errors.md'), 'utf8');
  t.equal(written, errorDocs(), 'up to date: npm run build && node scripts/write-error-docs.mjs');
  for (const code of codes) t.match(written, `| ${code} | `, code);
});

t.test('every code that is mentioned is in the catalogue', async (t) => {
  for (const [path, text] of [...program, ...tests]) {
    const strangers = [...text.matchAll(/\bEM\d{4}\b/g)]
      .map(([code]) => code)
      .filter((code) => !(code in diagnostics));
    t.same(strangers, [], path);
  }
});

t.test('every code of the catalogue is thrown somewhere', async (t) => {
  const all = [...program.values()].join('\n');
  for (const code of codes) t.ok(all.includes(`'${code}'`), code);
});

t.test('every code of the catalogue has a test that names it', async (t) => {
  const all = [...tests.values()].join('\n');
  for (const code of codes) t.ok(all.includes(code), code);
});

t.test('entries read as the format of errors needs them', async (t) => {
  for (const [code, { what, fix }] of Object.entries(diagnostics)) {
    t.match(what, /^[^\n]{8,90}[^.\n]$/, `${code}: what is one line without a full stop`);
    t.match(fix, /^[^\n]{8,130}[^.\n]$/, `${code}: fix is one line without a full stop`);
  }
});
