import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { createLinearAlgebra, type LinearAlgebra } from '../../../codegen/calibrate/linear-algebra.js';
import { NativeLinearAlgebra } from '../../../codegen/calibrate/linear-algebra-native.js';
import { WasmLinearAlgebra } from '../../../codegen/calibrate/linear-algebra-wasm.js';
import { NativeLibrary, nativeLibrary } from '../../../codegen/calibrate/native/native-library.js';
import { provideNativeLibrary } from '../../../codegen/calibrate/native/provide-native-library.js';
import { silentProgress } from '../../../codegen/progress.js';
import { Hessian } from '../../../codegen/quantize/gptq/hessian.js';
import { planSweep, quantizeGptq } from '../../../codegen/quantize/gptq/quantize-gptq.js';
import { projectRoot } from '../commands/embed-model.js';
import { correlatedInputs, randomFloats } from '../quantize/random-weights.js';

const folder = t.testdir({});
process.env.XDG_CACHE_HOME = folder;
const context = { progress: silentProgress, signal: new AbortController().signal };
const moduleUrl = (name: string) =>
  new URL(`../../../codegen/calibrate/native/${name}.js`, import.meta.url).href;
const same = (a: Float32Array, b: Float32Array) => a.every((value, i) => Object.is(value, b[i]));
const cached = () => join(folder, 'embed-model', 'native');

t.equal(createLinearAlgebra().name, 'wasm', 'nothing is built unasked');
await provideNativeLibrary(1000, context);
t.equal(nativeLibrary(), null, 'nor for a small model');
await provideNativeLibrary(2e6, context);
const library = nativeLibrary();
if (library === null) {
  const isPossible = process.platform === 'linux' && spawnSync('cc', ['--version']).status === 0;
  t.notOk(isPossible, 'no native library: no compiler');
} else {
  testLibrary(library);
}

function testLibrary(native: NativeLibrary): void {
  const one = NativeLibrary.load(native.path, 1)!;
  const three = NativeLibrary.load(native.path, 3)!;
  const wasm = WasmLinearAlgebra.load()!;

  t.test('it is chosen, and kept with a checksum', async (t) => {
    t.equal(createLinearAlgebra().name, 'native');
    t.strictSame(
      readdirSync(cached()).map((name) => name.replace(/^[0-9a-f]{32}/, 'KEY')),
      ['KEY.node', 'KEY.node.sha256'],
    );
  });

  t.test('products have the bits of WebAssembly, for any number of threads', async () => {
    const size = fc.oneof(
      fc.integer({ min: 1, max: 40 }),
      fc.constantFrom(127, 128, 129, 511, 512, 513, 1030),
    );
    fc.assert(
      fc.property(fc.nat(70), size, size, fc.nat(1e6), (tokens, rows, cols, seed) => {
        const x = randomFloats(tokens * cols, seed);
        const w = randomFloats(rows * cols, seed + 1);
        const [expected, ...others] = [wasm, one, three].map((algebra) => {
          const y = new Float32Array(tokens * rows).fill(7);
          algebra.matmul(y, x, w, tokens, rows, cols);
          return y;
        });
        return others.every((y) => same(y, expected!));
      }),
      { numRuns: 80, seed: 5 },
    );
    const [tokens, rows, cols] = [96, 300, 700]; // large enough for threads
    const x = randomFloats(tokens * cols, 1);
    const w = randomFloats(rows * cols, 2);
    const [a, b] = [wasm, three].map((algebra) => {
      const y = new Float32Array(tokens * rows);
      algebra.matmul(y, x, w, tokens, rows, cols);
      return y;
    });
    t.ok(same(a!, b!));
  });

  t.test('GPTQ gives the integers that TypeScript gives', async (t) => {
    for (const [rows, columns, tokens] of [
      [5, 33, 40],
      [70, 300, 200],
      [40, 130, 600],
    ] as const) {
      const inputs = correlatedInputs(tokens, columns, rows);
      for (let at = 0; at < inputs.length; at += columns) inputs[at + 3] = 0; // a column that is never used
      const weights = randomFloats(rows * columns, columns);
      weights.fill(0, columns, 2 * columns);
      const source = { name: 'm', rows, columns, read: () => weights.slice() };
      const results = [wasm, ...[one, three].map((each) => new NativeLinearAlgebra(each))].map(
        (algebra: LinearAlgebra) => {
          const hessian = new Hessian(columns);
          hessian.add(inputs, tokens, algebra);
          const sweep = planSweep(hessian, algebra)!;
          const found = (['w4', 'w5', 'w8'] as const).map((format) =>
            quantizeGptq(source, sweep, format, 64, algebra),
          );
          return { sums: hessian.sums, factor: sweep.factor, damping: sweep.damping, found };
        },
      );
      const [expected, ...others] = results;
      for (const other of others) t.strictSame(other, expected, `${rows} x ${columns}`);
    }
  });

  t.test('what has no factor has none, and wrong arguments are refused', async (t) => {
    t.equal(one.inverseFactor(Float64Array.of(1, 2, 2, 1), 2), null, 'a negative eigenvalue');
    t.equal(one.inverseFactor(Float64Array.of(1, Number.NaN, Number.NaN, 1), 2), null, 'NaN');
    t.throws(() => one.inverseFactor(new Float64Array(8), 3), RangeError, 'too short');
    t.throws(() => one.addGram(new Float64Array(3), new Float32Array(4), 2, 2), RangeError);
    t.throws(
      () => one.addGram(new Float32Array(4) as unknown as Float64Array, new Float32Array(4), 2, 2),
      RangeError,
    );
    const algebra = createLinearAlgebra();
    t.throws(
      () => algebra.matmul(new Float32Array(3), new Float32Array(4), new Float32Array(4), 2, 2, 2),
      RangeError,
    );
  });

  t.test('a damaged file is not loaded but built again', async (t) => {
    const [name] = readdirSync(cached());
    const path = join(cached(), name!);
    const intact = readFileSync(path);
    // Not written in place: this process has the file mapped.
    writeFileSync(`${path}.cut`, intact.subarray(0, 5000));
    renameSync(`${path}.cut`, path);
    // A process of its own: what is loaded stays.
    const script = `
      const { provideNativeLibrary } = await import(${JSON.stringify(moduleUrl('provide-native-library'))});
      const { nativeLibrary } = await import(${JSON.stringify(moduleUrl('native-library'))});
      const stages = [];
      const progress = { begin: (stage) => stages.push(stage), advance() {}, end() {}, warn() {} };
      await provideNativeLibrary(2e6, { progress, signal: new AbortController().signal });
      console.log(JSON.stringify([nativeLibrary() !== null, stages]));`;
    const run = () => {
      const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
      t.equal(stderr.toString(), '');
      return JSON.parse(stdout.toString());
    };
    t.strictSame(run(), [true, ['build native linear algebra']]);
    t.strictSame(run(), [true, []], 'and found the next time');
    t.ok(readFileSync(path).length > 5000);
  });

  t.test('its sources compile without a warning', async (t) => {
    const place = join(projectRoot, 'codegen', 'calibrate', 'native');
    const sources = readdirSync(place)
      .filter((name) => name.endsWith('.c'))
      .map((name) => join(place, name));
    for (const compiler of ['gcc', 'clang']) {
      if (spawnSync(compiler, ['--version']).status !== 0) continue;
      const warnings = ['-Wall', '-Wextra', '-Werror', '-Wconversion', '-Wvla', '-fsyntax-only'];
      const { status, stderr } = spawnSync(compiler, ['-std=gnu11', '-O2', ...warnings, ...sources]);
      t.equal(status, 0, `${compiler}: ${stderr.toString()}`);
    }
  });
}
