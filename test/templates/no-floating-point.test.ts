/** Every C file of the library parses, and none of them knows a floating-point type or number. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { root } from './c-compiler.js';
import { CSyntax } from './c-syntax.js';

const syntax = await CSyntax.open();
const templates = join(root, 'templates');

t.test('the library', async (t) => {
  const files = ['runtime', 'kernels'].flatMap((folder) =>
    readdirSync(join(templates, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.[ch]$/.test(name))
      .map((name) => join(folder, name)),
  );
  t.ok(files.length > 25, `${files.length} files`);
  for (const name of files.sort())
    t.strictSame(syntax.faults(readFileSync(join(templates, name), 'utf8')), [], name);
});

t.test('what floating point looks like', async (t) => {
  const wrong: [string, RegExp][] = [
    ['float f;', /type float/],
    ['int f(double x) { return (int)x; }', /type double/],
    ['long double x;', /type double/],
    ['_Float16 h;', /type _Float16/],
    ['int x = (int)1.5;', /literal 1\.5/],
    ['int x = 1e3;', /literal 1e3/],
    ['int x = 1.f;', /literal 1\.f/],
    ['int x = .5;', /literal \.5/],
    ['int x = 0x1p4;', /literal 0x1p4/],
    ['#define HALF (1.0 / 2)', /macro with 1\.0/],
    ['#define REAL double', /macro with double/],
    ['int f(', /does not parse/],
  ];
  for (const [source, pattern] of wrong) t.match(syntax.faults(source).join('\n'), pattern, source);
  const right = [
    'int x = 0xe3f; /* 1.5 float */',
    'const char *double_name = "double 1.5";',
    '#define EM_X 0x1f /* 0.5 */',
    'unsigned floats = 10u;',
  ];
  for (const source of right) t.strictSame(syntax.faults(source), [], source);
});
