import fc from 'fast-check';
import t from 'tap';
import { decodeFloats } from '../../../codegen/checkpoint/float-decoding.js';
import { bfloatBits, encodeFloats, halfBits } from './safetensors-writer.js';

function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint16Array.from(values).buffer);
}

t.test('binary16: known values', (t) => {
  const out = new Float32Array(8);
  const bytes = words(0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x83ff, 0x0000, 0x8000);
  t.equal(decodeFloats('F16', bytes, out), -1);
  t.strictSame([...out], [1, -2, 65504, 2 ** -14, 2 ** -24, -1023 * 2 ** -24, 0, -0]);
  t.end();
});

t.test('binary16: every finite value encodes back to its own bits', (t) => {
  const all = Uint16Array.from({ length: 1 << 16 }, (_, i) => i).filter((bits) => (bits & 0x7c00) !== 0x7c00);
  const out = new Float32Array(all.length);
  t.equal(decodeFloats('F16', new Uint8Array(all.buffer), out), -1);
  const differing = all.findIndex((bits, i) => halfBits(out[i]!) !== bits);
  t.equal(differing, -1);
  t.end();
});

t.test('bfloat16: known values', (t) => {
  const out = new Float32Array(5);
  t.equal(decodeFloats('BF16', words(0x3f80, 0xc049, 0x0001, 0x7f7f, 0x8000), out), -1);
  t.strictSame([...out], [1, -3.140625, 2 ** -133, 255 * 2 ** 120, -0]);
  t.end();
});

t.test('bfloat16: every finite value encodes back to its own bits', (t) => {
  const all = Uint16Array.from({ length: 1 << 16 }, (_, i) => i).filter((bits) => (bits & 0x7f80) !== 0x7f80);
  const out = new Float32Array(all.length);
  t.equal(decodeFloats('BF16', new Uint8Array(all.buffer), out), -1);
  t.equal(
    all.findIndex((bits, i) => bfloatBits(out[i]!) !== bits),
    -1,
  );
  t.end();
});

t.test('the first NaN or infinity is found in every type', (t) => {
  const cases = [
    ['F16', words(0x3c00, 0x7c00, 0x7e00), 1],
    ['F16', words(0x3c00, 0x3c00, 0xfc01), 2],
    ['BF16', words(0xff80, 0, 0), 0],
    ['BF16', words(0, 0, 0x7fc0), 2],
    ['F32', new Uint8Array(Float32Array.of(1, -Infinity, NaN).buffer), 1],
    ['F32', new Uint8Array(Float32Array.of(NaN, 0, 0).buffer), 0],
  ] as const;
  for (const [dtype, bytes, expected] of cases) {
    t.equal(decodeFloats(dtype, bytes, new Float32Array(3)), expected, dtype);
  }
  t.end();
});

t.test('float32: any finite values, read where they lie or copied', (t) => {
  const finite = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { maxLength: 50 });
  fc.assert(
    fc.property(finite, (list) => {
      const values = Float32Array.from(list);
      const bytes = new Uint8Array(encodeFloats('F32', values));
      const copied = new Float32Array(values.length);
      const inPlace = new Float32Array(bytes.buffer);
      return (
        decodeFloats('F32', bytes, copied) === -1 &&
        decodeFloats('F32', bytes, inPlace) === -1 &&
        copied.every((value, i) => Object.is(value, values[i])) &&
        inPlace.every((value, i) => Object.is(value, values[i]))
      );
    }),
    { seed: 1 },
  );
  t.end();
});
