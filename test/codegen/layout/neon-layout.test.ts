import t from 'tap';
import { neonLayout, neonPreparedBytes } from '../../../codegen/layout/neon-layout.js';
import { formats } from '../../../codegen/quantize/format.js';
import { allocateMatrix } from '../../../codegen/quantize/matrix.js';
import { ROW_MANTISSA_UNIT } from '../../../codegen/quantize/row-scale.js';
import { expectError } from '../checkpoint/expect-error.js';

t.test('groups: sub-scales, then the columns', async (t) => {
  for (const format of ['w4', 'w5', 'w6'] as const) {
    const { bits, min } = formats[format];
    const matrix = allocateMatrix('m', format, 33, 64);
    const zero = neonLayout.pack(matrix);
    matrix.subScales!.set([2, -3], 3 * 2);
    const set = (row: number, column: number) => {
      matrix.integers[row * 64 + column] = min;
    };
    // Both halves of the rows, each column of four, both groups, both tiles.
    set(3, 0);
    set(17, 1);
    set(9, 32 + 6);
    set(31, 32 + 7);
    set(32, 2);
    const section = neonLayout.pack(matrix);
    const group = 32 + 32 * 4 * bits;
    const changed = [...section].flatMap((byte, at) => (byte === zero[at] ? [] : [[at, byte ^ zero[at]!]]));
    // The smallest integer is stored as 0, a zero weight as the top bit alone: one bit differs.
    const quad = 32 + group + 16 * bits;
    const tile = 2 * group + 32;
    const expected = {
      w4: [
        [32 + 3, 8], // vector 0: low bits of x0
        [32 + 16 + 1, 8 << 4], // vector 3: high bits of x1
        [quad + 32 + 9, 8], // vector 4: low bits of x2
        [quad + 48 + 15, 8 << 4], // vector 7: high bits of x3
        [tile + 32, 8], // vector 4
      ],
      w5: [
        [32 + 3, 16], // vector 0: x0
        [32 + 3 * 16 + 1, 16], // vector 3: x3
        [quad + 2 * 16 + 15, 128], // vector 7: bit 4 is bit 7 of x2
        [quad + 4 * 16 + 9, 16], // vector 4: x4
        [tile + 4 * 16, 16], // vector 4
      ],
      w6: [
        [32 + 3, 32], // vector 0: x0
        [32 + 1, 128], // vector 3: bits 5 and 4 are the upper ones of x0
        [quad + 3 * 16 + 9, 32], // vector 4: x3
        [quad + 3 * 16 + 15, 128], // vector 7: x3 likewise
        [tile + 3 * 16, 32], // vector 4
      ],
    }[format];
    const scales = [
      [3, 2],
      [group + 3, 253],
    ];
    const sorted = [...expected, ...scales].sort(([a], [b]) => a! - b!);
    t.strictSame(changed, sorted, format);
  }
});

t.test('bytes of w8 and w16, multipliers padded to whole tiles', async (t) => {
  const narrow = allocateMatrix('m', 'w8', 33, 34);
  narrow.integers[0] = -127;
  narrow.integers[1 * 34 + 5] = 3;
  narrow.integers[9 * 34 + 33] = 4;
  narrow.integers[32 * 34] = 9;
  narrow.mantissas[32] = 0x4a3 * ROW_MANTISSA_UNIT;
  narrow.exponents[32] = 77;
  narrow.mantissas[4] = 0x7ff * ROW_MANTISSA_UNIT;
  narrow.exponents[4] = 77 + 31;
  const section = neonLayout.pack(narrow);
  const tile = 64 * 32;
  t.equal(section.length, 2 * tile + 64 * 2);
  const stored = [...section].flatMap((byte, at) => (byte === 0 ? [] : [[at, byte]]));
  const scales = 2 * tile;
  t.strictSame(stored, [
    [0, 129],
    [32 + 5, 3],
    [2 * 256 + 256 + 32 + 1, 4], // second strip, second block, second row
    [tile, 9],
    [scales + 8, 0xff],
    [scales + 9, 0xff],
    [scales + 64, 0xa3],
    [scales + 65, 0x04],
  ]);
  const wide = allocateMatrix('m', 'w16', 1, 2);
  wide.integers.set([-32767, 258]);
  t.strictSame([...neonLayout.pack(wide).subarray(0, 5)], [1, 0x80, 2, 1, 0]);
});

t.test('prepared activations: 16 bytes a group', async (t) => {
  t.strictSame([1, 32, 128, 129, 288].map(neonPreparedBytes), [64, 64, 64, 128, 192]);
});

t.test('an accumulator that could overflow is refused', async (t) => {
  const wider = allocateMatrix('wide', 'w8t', 1, 133_145);
  wider.integers.fill(-127);
  expectError(t, 'EM2003', /wide: a row of 133145 columns can sum to 2147495705/, () =>
    neonLayout.pack(wider),
  );
  wider.integers[0] = 0;
  t.doesNotThrow(() => neonLayout.pack(wider), 'the weights decide, not the shape');
});
