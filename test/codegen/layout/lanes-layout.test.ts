import t from 'tap';
import { lanesLayout } from '../../../codegen/layout/lanes-layout.js';
import { type FormatName, formatNames, formats } from '../../../codegen/quantize/format.js';
import { allocateMatrix, type QuantizedMatrix } from '../../../codegen/quantize/matrix.js';
import { expectError } from '../checkpoint/expect-error.js';

/** A zero matrix with one row of given integers. */
function withRow(
  format: FormatName,
  rows: number,
  row: number,
  integers: readonly number[],
): QuantizedMatrix {
  const matrix = allocateMatrix('m', format, rows, integers.length);
  matrix.integers.set(integers, row * integers.length);
  return matrix;
}

/** The lanes of a section's first words. */
function lanesOf(section: Uint8Array, words: number): number[][] {
  const lanes = new Uint16Array(section.slice(0, 8 * words).buffer);
  return Array.from({ length: words }, (_, i) => [...lanes.subarray(4 * i, 4 * i + 4)]);
}

t.test('lanes of w4: a word for four rows and four columns', async (t) => {
  const section = lanesLayout.pack(withRow('w4', 6, 5, [-8, -7, 7, 0, 3]));
  const words = lanesOf(section, 16);
  t.strictSame(words[0], [0x8888, 0x8888, 0x8888, 0x8888], 'rows 0 to 3');
  t.strictSame(words[1], [0x8888, 0x8f10, 0x8888, 0x8888], 'row 5 in lane 1');
  t.strictSame(words[9], [0x8888, 0x888b, 0x8888, 0x8888], 'columns 4 to 7');
  t.equal(lanesLayout.sectionBytes('w4', 6, 5), 512 + 64 + 64, 'filled up to 32 rows and 32 columns');
});

t.test('lanes of w5: three columns a word and a bit of the sixteenth', async (t) => {
  const columns = [-16, -15, -14, -13, -12, -11, -10, -9, -8, -7, -6, -5, -4, -3, -2, 10];
  const section = lanesLayout.pack(withRow('w5', 32, 1, columns));
  const lanes = lanesOf(section, 40)
    .filter((_, i) => i % 8 === 0)
    .map((lane) => lane[1]);
  // Stored: 0, 1, 2, ... and 26 = 0b11010, whose lowest bit is bit 15 of the first word.
  const last = [0, 1, 0, 1, 1];
  const expected = last.map(
    (bit, word) => (3 * word) | ((3 * word + 1) << 5) | ((3 * word + 2) << 10) | (bit << 15),
  );
  t.strictSame(lanes, expected);
});

t.test('lanes of w6: eight columns in three words, even lanes first', async (t) => {
  const section = lanesLayout.pack(withRow('w6', 16, 1, [-32, -31, -30, -29, -28, -27, 27, 20]));
  const lanes = lanesOf(section, 12)
    .filter((_, i) => i % 4 === 0)
    .map((lane) => lane[2]);
  // Columns 6 and 7 are stored as 59 = 0b111011 and 52 = 0b110100.
  t.strictSame(lanes, [
    0 | (11 << 6) | (1 << 10),
    2 | (4 << 6) | (3 << 10),
    4 | (3 << 6) | (3 << 8) | (5 << 10),
  ]);
});

t.test('lanes of w8: a pair of columns a word', async (t) => {
  const words = lanesOf(lanesLayout.pack(withRow('w8', 3, 2, [-127, 127, 5])), 8);
  t.strictSame(words[0], [0x8080, 0xff01, 0x8080, 0x8080], 'row 2 in lane 1');
  t.strictSame(words[4], [0x8080, 0x8085, 0x8080, 0x8080], 'columns 2 and 3');
  t.equal(lanesLayout.sectionBytes('w8t', 3, 3), 64 + 32, 'filled up to 16 rows and 4 columns');
});

t.test('sub-scales lie by tile and group', async (t) => {
  const matrix = allocateMatrix('m', 'w6', 17, 33);
  matrix.subScales!.forEach((_, i) => {
    matrix.subScales![i] = i + 1;
  });
  const section = lanesLayout.pack(matrix);
  const at = lanesLayout.sectionBytes('w6', 17, 33) - 64 - 64;
  const subScales = new Int8Array(section.slice(at, at + 64).buffer);
  t.strictSame([...subScales.subarray(0, 3)], [1, 3, 5], 'group 0 of rows 0, 1, 2');
  t.strictSame([...subScales.subarray(16, 18)], [2, 4], 'group 1');
  t.strictSame([...subScales.subarray(32)], [33, ...Array(15).fill(0), 34, ...Array(15).fill(0)], 'row 16');
});

t.test('a row that a sum could overflow in is refused', async (t) => {
  const widest = allocateMatrix('wide', 'w8', 1, 131_072);
  widest.integers.fill(127);
  t.doesNotThrow(() => lanesLayout.pack(widest));
  const wider = allocateMatrix('wide', 'w8t', 1, 131_073);
  expectError(t, 'EM2003', /wide: 131073 columns, its kernels take at most 131072/, () =>
    lanesLayout.pack(wider),
  );
  for (const format of formatNames) {
    // What a lane of 16 bits holds: products whose sum is below 2^15.
    const { bits, productsPerInt16, grouped } = formats[format];
    const magnitude = grouped ? 2 ** (bits - 1) : 127;
    t.ok(productsPerInt16 * magnitude * 127 < 2 ** 15, format);
  }
});
