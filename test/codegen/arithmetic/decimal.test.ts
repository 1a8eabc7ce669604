import fc from 'fast-check';
import t from 'tap';
import { decimalToQ16 } from '../../../codegen/arithmetic/decimal.js';

t.test('the nearest multiple of 2^-16', async (t) => {
  const decimal = fc.tuple(fc.nat(999), fc.nat(999_999), fc.integer({ min: 6, max: 14 }));
  fc.assert(
    fc.property(decimal, ([whole, fraction, digits]) => {
      const text = `${whole}.${String(fraction).padStart(digits, '0')}`;
      const error = decimalToQ16(text, 1000)! - (whole + fraction / 10 ** digits) * 65536;
      return error > -0.5 - 1e-6 && error <= 0.5 + 1e-6;
    }),
    { seed: 4 },
  );
  const ties = ['0.00000762939453', '0.00000762939454', '0.5', '.5', '5.', '005.50', '0.8'];
  t.strictSame(
    ties.map((text) => decimalToQ16(text, 1000)),
    [0, 1, 32768, 32768, 5 * 65536, 5.5 * 65536, 52429],
  );
  t.equal(decimalToQ16('0.0000076293945', 1), 0, 'just below half');
  t.equal(decimalToQ16('1.00000762939454', 2), 65537);
});

t.test('what is no decimal in the range', async (t) => {
  const wrong = [
    '',
    '.',
    '-1',
    '+1',
    ' 1',
    '1 ',
    '1e3',
    '0x10',
    '1,5',
    '1..2',
    'nan',
    '1.000000000000000',
    '٣',
  ];
  for (const text of wrong) t.equal(decimalToQ16(text, 1000), null, JSON.stringify(text));
  t.equal(decimalToQ16('1000', 1000), 65536000);
  t.equal(decimalToQ16('1000.00000000000001', 1000), null);
  t.equal(decimalToQ16('9'.repeat(40), 1000), null);
});
