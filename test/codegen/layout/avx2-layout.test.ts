import t from 'tap';
import { avx2Layout, avx2PreparedBytes } from '../../../codegen/layout/avx2-layout.js';
import { formats } from '../../../codegen/quantize/format.js';
import { allocateMatrix } from '../../../codegen/quantize/matrix.js';
import { ROW_MANTISSA_UNIT } from '../../../codegen/quantize/row-scale.js';
import { expectError } from '../checkpoint/expect-error.js';

/** Bytes of eight quads of a tile: four vectors a quad, two quads in as many vectors as the format has bits. */
const groupBytes = (bits: number) => 4 * bits * 32;

t.test('a pair of groups, then a single one', async (t) => {
  for (const format of ['w4', 'w5', 'w6'] as const) {
    const { bits, min } = formats[format];
    const matrix = allocateMatrix('m', format, 33, 96);
    matrix.subScales!.fill(1);
    matrix.subScales!.set([2, -3, 4], 3 * 3);
    const set = (row: number, column: number) => {
      matrix.integers[row * 96 + column] = min;
    };
    // Rows of other eights, both quads of two, both groups; then the single group.
    set(3, 2);
    set(9, 35);
    set(31, 64 + 6);
    set(32, 0);
    const section = avx2Layout.pack(matrix);
    const zero = new Uint8Array(section.length);
    zero.set(avx2Layout.pack(allocateMatrix('m', format, 33, 96)));
    const single = 64 + 2 * groupBytes(bits);
    const tile = single + 64 + groupBytes(bits);
    const scalesAt = (at: number) => [...new Int8Array(section.slice(at + 2 * 3, at + 2 * 3 + 2).buffer)];
    t.strictSame(scalesAt(0), [2, -3], `${format}: sub-scales of row 3`);
    t.strictSame(scalesAt(single), [4, 4], `${format}: of the single group, twice`);
    const changed = (first: number, end: number) => {
      const bytes = [...section.subarray(first, end)].map((byte, i) => byte ^ zero[first + i]!);
      return bytes.flatMap((bitsOfByte, i) => (bitsOfByte === 0 ? [] : [[first + i, bitsOfByte]]));
    };
    // The smallest integer is stored as 0, a zero weight as the top bit alone: one bit differs.
    const expected = {
      w4: [
        [64 + 2 * 32 + 4 * 1 + 2 + 1, 8 << 4], // quad 1, vector 5: high bits of x2
        [64 + 2 * 32 + 4 * 3, 8], // quad 1, vector 4: low bits of x2
        [single + 64 + 3 * 32 + 4 * 7 + 2, 8 << 4], // quad 1, vector 7: high bits of x3
        [tile + 64, 8],
      ],
      w5: [
        [64 + 4 * 1 + 2 + 1, 128], // vector 5: bit 4 is bit 7 of x0
        [64 + 4 * 32 + 4 * 3, 16], // vector 4: x4
        [single + 64 + 2 * 32 + 4 * 7 + 2, 128], // vector 7: bit 4 is bit 7 of x2
        [tile + 64, 16],
      ],
      w6: [
        [64 + 3 * 32 + 4 * 3, 32], // vector 4: x3
        [64 + 4 * 32 + 4 * 1 + 2 + 1, 32], // vector 5: x4
        [single + 64 + 3 * 32 + 4 * 7 + 2, 128], // vector 7: bits 5 and 4 are the upper ones of x3
        [tile + 64, 32],
      ],
    }[format];
    const weights = [
      ...changed(64, single),
      ...changed(single + 64, tile),
      ...changed(tile + 64, tile + single),
    ];
    t.strictSame(weights, expected, `${format}: weights`);
  }
});

t.test('bytes of w8 and w16, multipliers padded to whole tiles', async (t) => {
  const narrow = allocateMatrix('m', 'w8', 33, 6);
  narrow.integers[0] = -127;
  narrow.integers[8 * 6 + 5] = 3;
  narrow.integers[32 * 6] = 9;
  narrow.mantissas[32] = 0x4a3 * ROW_MANTISSA_UNIT;
  narrow.exponents[32] = 77;
  const section = avx2Layout.pack(narrow);
  const tile = 32 * 32;
  t.equal(section.length, 2 * tile + 64 * 2);
  const stored = [...section].flatMap((byte, at) => (byte === 0 ? [] : [[at, byte]]));
  const scale = 2 * tile + 32 * 2;
  t.strictSame(stored, [
    [0, 129],
    [128 + 32 + 1, 3],
    [tile, 9],
    [scale, 0xa3],
    [scale + 1, 0x04],
  ]);
  const wide = allocateMatrix('m', 'w16', 1, 2);
  wide.integers.set([-32767, 258]);
  t.strictSame([...avx2Layout.pack(wide).subarray(0, 5)], [1, 0x80, 2, 1, 0]);
});

t.test('prepared activations: 96 bytes for two groups', async (t) => {
  t.strictSame([1, 32, 64, 65, 128, 288].map(avx2PreparedBytes), [128, 128, 128, 192, 192, 512]);
});

t.test('an accumulator that could overflow is refused', async (t) => {
  const wider = allocateMatrix('wide', 'w8t', 1, 133_145);
  wider.integers.fill(-127);
  expectError(t, 'EM2003', /wide: a row of 133145 columns can sum to 2147495705/, () =>
    avx2Layout.pack(wider),
  );
  wider.integers[0] = 0;
  t.doesNotThrow(() => avx2Layout.pack(wider), 'the weights decide, not the shape');
});
