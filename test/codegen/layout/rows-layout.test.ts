import t from 'tap';
import { rowsLayout } from '../../../codegen/layout/rows-layout.js';
import { formats } from '../../../codegen/quantize/format.js';
import { allocateMatrix } from '../../../codegen/quantize/matrix.js';
import { ROW_MANTISSA_UNIT } from '../../../codegen/quantize/row-scale.js';
import { expectError } from '../checkpoint/expect-error.js';

/** Two rows of 33 columns: -2^(b-1), -2^(b-1) + 1, ... in the first group, 5 in the column of the second. */
function counting(format: 'w4' | 'w5' | 'w6') {
  const matrix = allocateMatrix('m', format, 2, 33);
  const { min, max } = formats[format];
  for (let c = 0; c < 32; c++) matrix.integers[33 + c] = Math.min(max, min + c);
  matrix.integers[65] = 5;
  matrix.subScales!.set([1, 2, -3, 4]);
  matrix.mantissas.set([0, 0x4a3 * ROW_MANTISSA_UNIT]);
  matrix.exponents.set([0, 77]);
  return rowsLayout.pack(matrix);
}

t.test('bytes of w4, w5 and w6', async (t) => {
  const nibbles = (low: (i: number) => number, high: (i: number) => number) =>
    Array.from({ length: 16 }, (_, i) => low(i) | (high(i) << 4));
  const zeros = (stored: number) => new Array<number>(16).fill((stored & 15) * 17);
  const expected = {
    w4: [
      [...zeros(8), ...zeros(8)], // row 0
      [
        ...nibbles(
          (i) => i,
          () => 15,
        ),
        5 + 8 + 0x80,
        ...zeros(8).slice(1),
      ],
    ],
    w5: [
      [...zeros(0), 255, 255, 255, 255, ...zeros(0), 255, 255, 255, 255],
      [
        ...nibbles(
          (i) => i,
          (i) => i,
        ),
        0,
        0,
        255,
        255,
        5,
        ...zeros(0).slice(1),
        255,
        255,
        255,
        255,
      ],
    ],
    w6: [
      [...zeros(0), 0, 0, 0, 0, 255, 255, 255, 255, ...zeros(0), 0, 0, 0, 0, 255, 255, 255, 255],
      [
        ...nibbles(
          (i) => i,
          (i) => i,
        ),
        0,
        0,
        255,
        255,
        0,
        0,
        0,
        0,
        5,
        ...zeros(0).slice(1),
        0,
        0,
        0,
        0,
        255,
        255,
        255,
        255,
      ],
    ],
  };
  for (const format of ['w4', 'w5', 'w6'] as const) {
    const section = counting(format);
    const rows = expected[format].flat();
    const end = Math.ceil(rows.length / 64) * 64;
    t.strictSame([...section.subarray(0, rows.length)], rows, `${format} weights`);
    t.ok(section.subarray(rows.length, end).every((byte) => byte === 0));
    t.strictSame([...new Int8Array(section.slice(end, end + 4).buffer)], [1, 2, -3, 4], 'sub-scales');
    t.strictSame([...section.subarray(end + 64)], [0, 0, 0xa3, 0x04], 'row multipliers');
  }
});

t.test('bytes of w8 and w16', async (t) => {
  const narrow = allocateMatrix('m', 'w8', 2, 3);
  narrow.integers.set([-127, 0, 127, 1, 2, 3]);
  t.strictSame([...rowsLayout.pack(narrow).subarray(0, 7)], [129, 0, 127, 1, 2, 3, 0]);
  t.equal(rowsLayout.sectionBytes('w8', 2, 3), 64 + 2 * 2);
  const wide = allocateMatrix('m', 'w16', 1, 2);
  wide.integers.set([-32767, 258]);
  t.strictSame([...rowsLayout.pack(wide).subarray(0, 5)], [1, 0x80, 2, 1, 0]);
});

t.test('an accumulator that could overflow is refused', async (t) => {
  const widest = allocateMatrix('wide', 'w8', 1, 133_144);
  widest.integers.fill(127);
  t.doesNotThrow(() => rowsLayout.pack(widest));
  const wider = allocateMatrix('wide', 'w8t', 1, 133_145);
  wider.integers.fill(-127);
  expectError(t, 'EM2003', /wide: a row of 133145 columns can sum to 2147495705/, () =>
    rowsLayout.pack(wider),
  );
  wider.integers[0] = 0;
  t.doesNotThrow(() => rowsLayout.pack(wider), 'the weights decide, not the shape');
});
