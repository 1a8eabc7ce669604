import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createLinearAlgebra } from '../../../../codegen/calibrate/linear-algebra.js';
import type { FormatName } from '../../../../codegen/quantize/format.js';
import { FittedCache, userFittedCache } from '../../../../codegen/quantize/gptq/fitted-cache.js';
import {
  quantizeSequentially,
  type SequentialInput,
} from '../../../../codegen/quantize/gptq/quantize-sequentially.js';
import { tinyProblem } from '../../allocate/tiny-problem.js';
import { quietContext } from '../../evaluate/tiny-bundle.js';

const { calibration, probe, ...problem } = tinyProblem(t);
const formatsOf = (format: FormatName) => new Map(problem.graph.matrices.map(({ name }) => [name, format]));
const input: SequentialInput = { ...problem, formats: formatsOf('w4'), windows: calibration };
const plain = await quantizeSequentially({ ...input, cache: null }, quietContext());

/** Counts products: none are needed where everything is known. */
function counting() {
  const algebra = createLinearAlgebra();
  const counter = { products: 0 };
  const matmul: typeof algebra.matmul = (...args) => {
    counter.products++;
    algebra.matmul(...args);
  };
  return { counter, algebra: { name: algebra.name, matmul, keep: () => {} } };
}

async function fit(cache: FittedCache, changes: Partial<SequentialInput> = {}) {
  const { counter, algebra } = counting();
  const matrices = await quantizeSequentially({ ...input, algebra, cache, ...changes }, quietContext());
  return { matrices, products: counter.products };
}

const folder = t.testdir();
let caches = 0;
const emptyCache = (mostBytes?: number) => new FittedCache(join(folder, `${caches++}`), mostBytes);

t.test('what was fitted once is read back, and nothing is computed', async (t) => {
  const cache = emptyCache();
  const first = await fit(cache);
  t.same(first.matrices, plain);
  t.ok(first.products > 0);
  const second = await fit(cache);
  t.same(second.matrices, plain);
  t.equal(second.products, 0);
});

t.test('an interrupted fit goes on where it stopped, and finds the same', async (t) => {
  const cache = emptyCache();
  const whole = (await fit(emptyCache())).products;
  const stop = new AbortController();
  let finished = 0;
  const advance = () => {
    finished++;
    if (finished === 5) stop.abort(new Error('interrupted'));
  };
  const progress = { ...quietContext().progress, advance };
  await t.rejects(
    quantizeSequentially({ ...input, cache }, { progress, signal: stop.signal }),
    /interrupted/,
  );
  const kept = readdirSync(cache.folder).length;
  t.ok(kept >= 5 && kept < problem.graph.matrices.length, `${kept} are kept`);
  const { matrices, products } = await fit(cache);
  t.same(matrices, plain);
  t.ok(products < whole, `${products} products of ${whole}`);
});

t.test('other formats, windows, groups or weights are fitted anew', async (t) => {
  const cache = emptyCache();
  await fit(cache);
  const last = problem.graph.matrices.at(-1)!.name;
  const { weights } = problem;
  const changed: Partial<SequentialInput>[] = [
    { formats: formatsOf('w5') },
    { windows: probe },
    { groupSize: 64 },
    { weights: { ...weights, vector: (name) => weights.vector(name).map((v) => 1.01 * v) } },
  ];
  for (const change of changed) {
    const expected = await quantizeSequentially({ ...input, ...change, cache: null }, quietContext());
    const found = await fit(cache, change);
    t.same(found.matrices, expected);
    t.ok(found.products > 0, Object.keys(change).join());
  }
  const onlyLast = new Map(input.formats).set(last, 'w6');
  const all = (await fit(emptyCache(), { formats: onlyLast })).products;
  t.ok((await fit(cache, { formats: onlyLast })).products < all, 'what comes before a change is known');
});

t.test('a damaged entry is found out, computed again and replaced', async (t) => {
  const cache = emptyCache();
  await fit(cache);
  const paths = readdirSync(cache.folder).map((name) => join(cache.folder, name));
  const intact = paths.map((path) => readFileSync(path));
  const damage = [
    (bytes: Buffer) => bytes.subarray(0, bytes.length - 1),
    (bytes: Buffer) => Buffer.concat([bytes, Buffer.of(0)]),
    (bytes: Buffer) => bytes.map((byte, i) => (i === bytes.length - 3 ? byte ^ 4 : byte)),
    (bytes: Buffer) => bytes.map((byte, i) => (i === 5 ? byte ^ 1 : byte)),
    () => Buffer.alloc(0),
  ];
  for (const [i, change] of damage.entries()) writeFileSync(paths[i]!, change(intact[i]!));
  const { matrices, products } = await fit(cache);
  t.same(matrices, plain);
  t.ok(products > 0);
  t.same(
    paths.map((path) => readFileSync(path)),
    intact,
  );
});

t.test('entries take no more than they may, and what was used last stays', async (t) => {
  const whole = emptyCache();
  await fit(whole);
  const sizes = readdirSync(whole.folder).map((name) => statSync(join(whole.folder, name)).size);
  const most = Math.floor(sizes.reduce((sum, size) => sum + size) / 2);
  const cache = emptyCache(most);
  t.same((await fit(cache)).matrices, plain, 'a small cache changes nothing');
  const kept = () => readdirSync(cache.folder);
  const bytes = () => kept().reduce((sum, name) => sum + statSync(join(cache.folder, name)).size, 0);
  t.ok(bytes() <= most && kept().length > 1, `${bytes()} of ${most}`);
  const [used, ...others] = kept();
  for (const name of others) utimesSync(join(cache.folder, name), 1, 1);
  utimesSync(join(cache.folder, used!), 2, 2);
  const added = plain.values().next().value!;
  const sizeOf = (name: string) => statSync(join(cache.folder, name)).size;
  const key = '0'.repeat(64);
  new FittedCache(cache.folder).put(key, added);
  new FittedCache(cache.folder, sizeOf(used!) + sizeOf(key)).put(key, added);
  t.same(kept().sort(), [key, used!].sort(), 'those that were not used go first');
  const unfinished = join(cache.folder, `${'f'.repeat(64)}.4194304`);
  writeFileSync(unfinished, 'what a process that was killed left');
  utimesSync(unfinished, 1, 1);
  new FittedCache(cache.folder, sizeOf(used!) + sizeOf(key)).put(key, added);
  t.same(kept().sort(), [key, used!].sort(), 'so does what was never finished');
});

t.test('where nothing can be written, nothing is kept; small models are not worth it', async (t) => {
  const file = join(t.testdir({ file: 'no folder' }), 'file');
  t.same((await fit(new FittedCache(join(file, 'integers')))).matrices, plain);
  t.equal(userFittedCache(1000), null);
  t.ok(userFittedCache(5e6) instanceof FittedCache);
});
