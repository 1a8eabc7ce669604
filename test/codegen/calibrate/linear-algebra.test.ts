import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import fc from 'fast-check';
import t from 'tap';
import { Pcg32 } from '../../../codegen/arithmetic/pcg32.js';
import { createLinearAlgebra, type LinearAlgebra } from '../../../codegen/calibrate/linear-algebra.js';
import { PlainLinearAlgebra } from '../../../codegen/calibrate/linear-algebra-plain.js';
import { WasmLinearAlgebra, wasmRoundings } from '../../../codegen/calibrate/linear-algebra-wasm.js';

interface Product {
  readonly x: Float32Array;
  readonly w: Float32Array;
  readonly tokens: number;
  readonly rows: number;
  readonly cols: number;
}

/** The least memory there may be: 64 KiB of scratch, so that all but small products are cut into chunks. */
const SMALL_MEMORY = 256 * 1024;
const UNIT_ROUNDOFF = 2 ** -24;

function wasm(memoryBytes?: number): WasmLinearAlgebra {
  const loaded = WasmLinearAlgebra.load(memoryBytes === undefined ? {} : { memoryBytes });
  if (loaded === undefined) throw new Error('wasm/matmul.wasm does not load: npm run build builds it');
  return loaded;
}

/** Numbers of both signs from 2^-8 to 2^8, so that sums cancel. */
function randomProduct(tokens: number, rows: number, cols: number, seed: number): Product {
  const generator = new Pcg32(BigInt(seed));
  const fill = (length: number): Float32Array =>
    Float32Array.from({ length }, () => {
      const sign = generator.nextBelow(2) === 0 ? 1 : -1;
      return sign * (1 + generator.nextU32() / 2 ** 32) * 2 ** (generator.nextBelow(17) - 8);
    });
  return { x: fill(tokens * cols), w: fill(rows * cols), tokens, rows, cols };
}

function multiply(algebra: LinearAlgebra, { x, w, tokens, rows, cols }: Product): Float32Array {
  const y = new Float32Array(tokens * rows).fill(Number.NaN);
  algebra.matmul(y, x, w, tokens, rows, cols);
  return y;
}

/**
 * |y - Σ x w| beyond the bound that the contract states, at the worst element; at most 0 when the contract
 * holds.
 */
function excess(
  y: Float32Array,
  product: Product,
  bound: (sum: number, magnitude: number) => number,
): number {
  const { x, w, tokens, rows, cols } = product;
  let worst = -Infinity;
  for (let token = 0; token < tokens; token++) {
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      let magnitude = 0;
      for (let k = 0; k < cols; k++) {
        const term = x[token * cols + k] * w[row * cols + k];
        sum += term;
        magnitude += Math.abs(term);
      }
      // `sum` is itself rounded in float64: at most cols 2^-53 of the magnitude
      const error = Math.abs(y[token * rows + row] - sum) - cols * 2 ** -53 * magnitude;
      worst = Math.max(worst, Number.isNaN(error) ? Infinity : error - bound(sum, magnitude));
    }
  }
  return worst;
}

function plainExcess(y: Float32Array, product: Product): number {
  const { cols } = product;
  return excess(y, product, (sum, magnitude) => UNIT_ROUNDOFF * Math.abs(sum) + cols * 2 ** -52 * magnitude);
}

function wasmExcess(y: Float32Array, product: Product): number {
  const roundings = wasmRoundings(product.cols) * UNIT_ROUNDOFF;
  return excess(y, product, (_sum, magnitude) => (roundings / (1 - roundings)) * magnitude);
}

const oddProducts = fc
  .record({
    tokens: fc.integer({ min: 1, max: 9 }),
    rows: fc.integer({ min: 1, max: 21 }),
    cols: fc.oneof(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 500, max: 530 }),
      fc.integer({ min: 1020, max: 1030 }),
    ),
    seed: fc.nat(),
  })
  .map(({ tokens, rows, cols, seed }) => randomProduct(tokens, rows, cols, seed));

t.test('a product by hand', async (t) => {
  const x = Float32Array.of(1, 2, 3, -1, 0, 0.5);
  const w = Float32Array.of(1, 1, 1, 4, 0, -2);
  for (const algebra of [new PlainLinearAlgebra(), wasm()]) {
    const y = multiply(algebra, { x, w, tokens: 2, rows: 2, cols: 3 });
    t.same([...y], [6, -2, -0.5, -5], algebra.name);
  }
});

t.test('errors stay within the stated bounds in any shape', async (t) => {
  const plain = new PlainLinearAlgebra();
  const fast = wasm();
  fc.assert(
    fc.property(oddProducts, (product) => {
      return (
        plainExcess(multiply(plain, product), product) <= 0 &&
        wasmExcess(multiply(fast, product), product) <= 0
      );
    }),
    { seed: 1, numRuns: 200 },
  );
  t.pass('for all examples');
});

t.test('a result depends on its row and its token alone, to the last bit', async (t) => {
  for (const algebra of [new PlainLinearAlgebra(), wasm()]) {
    fc.assert(
      fc.property(oddProducts, fc.nat(), fc.nat(), (product, anyToken, anyRow) => {
        const { x, w, rows, cols } = product;
        const token = anyToken % product.tokens;
        const row = anyRow % rows;
        const single = multiply(algebra, {
          x: x.subarray(token * cols, (token + 1) * cols),
          w: w.subarray(row * cols, (row + 1) * cols),
          tokens: 1,
          rows: 1,
          cols,
        });
        return Object.is(single[0], multiply(algebra, product)[token * rows + row]);
      }),
      { seed: 2, numRuns: 100 },
    );
  }
  t.pass('for all examples');
});

t.test('products larger than the scratch memory are cut without a trace', async (t) => {
  const whole = wasm();
  const cut = wasm(SMALL_MEMORY);
  for (const [tokens, rows, cols] of [
    [300, 70, 60],
    [65, 517, 33],
    [1, 3000, 64],
    [9, 30, 2048],
    [700, 5, 2047],
  ]) {
    const product = randomProduct(tokens, rows, cols, tokens);
    t.same(multiply(cut, product), multiply(whole, product), `${tokens} x (${rows} x ${cols})`);
  }
  t.equal(cut.memoryBytes, SMALL_MEMORY / 4, 'streamed weights need the scratch memory only');
});

t.test('rows too long for the scratch memory are multiplied all the same', async (t) => {
  const product = randomProduct(2, 5, 5000, 7);
  const y = multiply(wasm(SMALL_MEMORY), product);
  t.ok(wasmExcess(y, product) <= 0);
  t.same(y, multiply(new PlainLinearAlgebra(), product));
});

t.test('what a product leaves behind does not leak into the padding of the next', async (t) => {
  const algebra = wasm();
  const infinite = randomProduct(9, 12, 12, 3);
  multiply(algebra, { ...infinite, x: infinite.x.map(() => Infinity), w: infinite.w.map(() => Number.NaN) });
  const product = randomProduct(3, 5, 7, 4);
  t.ok(wasmExcess(multiply(algebra, product), product) <= 0);
});

t.test('kept weights', async (t) => {
  t.test('are read once', async (t) => {
    const algebra = wasm();
    const product = randomProduct(3, 9, 10, 5);
    algebra.keep(product.w);
    const first = multiply(algebra, product);
    t.same(first, multiply(wasm(), product), 'same bits as streamed');
    product.w.fill(0);
    t.same(multiply(algebra, product), first, 'the second product uses the copy');
    t.ok(multiply(wasm(), product).every((value) => value === 0));
  });

  t.test('beyond the memory bound are streamed', async (t) => {
    const algebra = wasm(SMALL_MEMORY);
    const products = Array.from({ length: 12 }, (_, seed) => randomProduct(2, 64, 80, seed));
    for (const { w } of products) algebra.keep(w);
    for (let pass = 0; pass < 2; pass++) {
      for (const product of products) t.same(multiply(algebra, product), multiply(wasm(), product));
    }
    t.ok(algebra.memoryBytes > SMALL_MEMORY / 4, 'some are kept');
    t.ok(algebra.memoryBytes <= SMALL_MEMORY, `${algebra.memoryBytes} bytes`);
  });

  t.test('in another shape than they were copied in are streamed', async (t) => {
    const algebra = wasm();
    const { w, ...shape } = randomProduct(2, 6, 9, 6);
    algebra.keep(w);
    multiply(algebra, { w, ...shape });
    const reshaped = { ...randomProduct(2, 3, 18, 8), w };
    t.same(multiply(algebra, reshaped), multiply(wasm(), reshaped));
  });

  t.test('are used in place by the plain implementation', async (t) => {
    const plain = new PlainLinearAlgebra();
    const product = randomProduct(1, 2, 3, 9);
    plain.keep(product.w);
    product.w.fill(0);
    t.same([...multiply(plain, product)], [0, 0]);
  });
});

t.test('operands that do not hold their shape are refused', async (t) => {
  for (const algebra of [new PlainLinearAlgebra(), wasm()]) {
    const refuse = (y: number, x: number, w: number, shape: [number, number, number], why: RegExp): void => {
      const operands = [y, x, w].map((length) => new Float32Array(length));
      t.throws(() => algebra.matmul(operands[0], operands[1], operands[2], ...shape), { message: why });
    };
    refuse(5, 8, 12, [2, 3, 4], /y has 5 elements, 2 x 3 are needed/);
    refuse(6, 7, 12, [2, 3, 4], /x has 7 elements/);
    refuse(6, 8, 11, [2, 3, 4], /w has 11 elements/);
    refuse(6, 8, 12, [-1, 3, 4], /-1 tokens/);
    refuse(6, 8, 12, [2, 0, 4], /0 rows/);
    refuse(6, 8, 12, [2, 3, 1.5], /1\.5 columns/);
    t.same([...multiply(algebra, { ...randomProduct(0, 3, 4, 1) })], [], 'no tokens, no results');
  }
  t.throws(() => createLinearAlgebra({ memoryBytes: 2 ** 30 + 1 }), RangeError);
  t.throws(() => createLinearAlgebra({ memoryBytes: Number.NaN }), RangeError);
});

t.test('wasm is chosen where it is built, plain where it is not', async (t) => {
  t.equal(createLinearAlgebra().name, 'wasm');

  const compiled = fileURLToPath(new URL('../../../codegen/calibrate', import.meta.url));
  const bare = t.testdir({ 'package.json': '{ "type": "module" }' });
  mkdirSync(join(bare, 'wasm'));
  const parts = ['', '-native', '-plain', '-shapes', '-wasm'].map((part) => `linear-algebra${part}.js`);
  for (const part of [...parts, join('native', 'native-library.js')]) {
    cpSync(join(compiled, part), join(bare, part));
  }
  const { createLinearAlgebra: createThere } = await import(
    pathToFileURL(join(bare, 'linear-algebra.js')).href
  );
  t.equal(createThere().name, 'plain', 'no module');
  writeFileSync(join(bare, 'wasm', 'matmul.wasm'), 'not a module');
  t.equal(createThere().name, 'plain', 'damaged module');
  t.same([...multiply(createThere(), { ...randomProduct(0, 1, 1, 1) })], []);
});
