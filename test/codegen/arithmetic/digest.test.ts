import fc from 'fast-check';
import t from 'tap';
import { LogitsDigest } from '../../../codegen/arithmetic/digest.js';

/** FNV-1a (Fowler, Noll, Vo; draft-eastlake-fnv) with 64 bits, folding in 32-bit words instead of bytes. */
function exactDigest(words: Iterable<number>): string {
  let hash = 0xcbf29ce484222325n;
  for (const word of words) hash = BigInt.asUintN(64, (hash ^ BigInt(word >>> 0)) * 0x100000001b3n);
  return hash.toString(16).padStart(16, '0');
}

function digestOf(...vectors: Int32Array[]): string {
  const digest = new LogitsDigest();
  for (const vector of vectors) digest.add(vector);
  return digest.hex();
}

t.test('digest is FNV-1a over 32-bit words', async (t) => {
  const words = fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { maxLength: 60 });
  fc.assert(
    fc.property(words, (values) => digestOf(Int32Array.from(values)) === exactDigest(values)),
    { numRuns: 2000, seed: 3 },
  );
  t.equal(digestOf(), 'cbf29ce484222325');
  t.equal(digestOf(Int32Array.of(0)), 'af63bd4c8601b7df', 'FNV-1a of the one byte 0');
});

t.test('digest goes on from vector to vector', async (t) => {
  t.equal(digestOf(Int32Array.of(1, 2), Int32Array.of(3)), digestOf(Int32Array.of(1, 2, 3)));
  t.not(digestOf(Int32Array.of(1, 2)), digestOf(Int32Array.of(2, 1)));
});
