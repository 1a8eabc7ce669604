import fc from 'fast-check';
import t, { type Test } from 'tap';
import {
  byteCount,
  integer,
  type Option,
  oneOf,
  percentage,
  q16,
  text,
  tokenIds,
  unsigned64,
} from '../../../codegen/commands/option.js';
import { placeOf } from '../../../codegen/commands/run-options.js';
import { expectError } from '../checkpoint/expect-error.js';

function refuses(t: Test, option: Option<unknown>, values: readonly string[]): void {
  for (const value of values) expectError(t, 'EM1202', /^--x: it takes /, () => option.parse(value, '--x'));
}

t.test('integers', async (t) => {
  const option = integer('', { min: 2, max: 1000 }, 7);
  t.equal(option.parse('2', '--x'), 2);
  t.equal(option.parse('0999', '--x'), 999);
  t.equal(option.absent, 7);
  t.equal(option.defaultText, '7');
  refuses(t, option, ['', '1', '1001', '-3', '+3', '3.0', '3e2', '0x10', ' 3', '3 ', '٣', '9'.repeat(400)]);
  t.equal(integer('', { min: 0, max: 1 }, null).absent, null);
});

t.test('unsigned 64-bit integers keep every digit', async (t) => {
  const option = unsigned64('', '0');
  t.equal(option.parse('18446744073709551615', '--x'), '18446744073709551615');
  t.equal(option.parse('007', '--x'), '7');
  refuses(t, option, ['', '-1', '18446744073709551616', '1e3', '9'.repeat(500)]);
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 64n - 1n), (seed) => option.parse(`${seed}`, '--x') === `${seed}`),
  );
});

t.test('decimals in Q16 have no drift', async (t) => {
  const temperature = q16('T', '', { leastQ16: 0, high: 1000 }, 0, '0');
  t.equal(temperature.parse('0.8', '--x'), 52429);
  t.equal(temperature.parse('1000', '--x'), 65_536_000);
  t.equal(temperature.parse('.5', '--x'), 32768);
  refuses(t, temperature, ['', '.', '-1', '1000.1', '1e1', '0.8f', 'NaN', '1,5']);
  const topP = q16('P', '', { leastQ16: 1, high: 1 }, 65536, '1');
  t.equal(topP.parse('1', '--x'), 65536);
  refuses(t, topP, ['0', '0.000001', '1.00000000000001']);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 65_536_000 }), (units) => {
      const decimal = (units / 65536).toFixed(10);
      return temperature.parse(decimal, '--x') === units;
    }),
  );
});

t.test('token ids', async (t) => {
  const option = tokenIds('');
  t.same(option.parse('1,2,3', '--x'), [1, 2, 3]);
  t.same(option.parse('0', '--x'), [0]);
  t.same(option.parse('1, 20', '--x'), [1, 20]);
  refuses(t, option, [
    '',
    ',',
    '1,',
    ',1',
    '1,,2',
    '1;2',
    '-1',
    '1.5',
    '1234567890',
    'a',
    `${'1,'.repeat(2 ** 20)}1`,
  ]);
});

t.test('words and texts', async (t) => {
  const size = oneOf('32|64', '', ['32', '64']);
  t.equal(size.parse('64', '--x'), '64');
  refuses(t, size, ['', '6', '640', '032']);
  t.equal(text('FILE', '').parse('a b', '--x'), 'a b');
  refuses(t, text('FILE', ''), ['']);
});

t.test('shares and sizes', async (t) => {
  const share = percentage('', 0.02, '2%');
  t.equal(share.parse('2%', '--x'), 0.02);
  t.equal(share.parse('0.5 %', '--x'), 0.005);
  t.equal(share.parse('100%', '--x'), 1);
  refuses(t, share, ['', '2', '%', '0%', '101%', '-1%', '1e1%', '2%%', '1.%', '.5%']);
  const bytes = byteCount('');
  t.equal(bytes.parse('100MB', '--x'), 100e6);
  t.equal(bytes.parse('1.5 kB', '--x'), 1500);
  t.equal(bytes.parse('2GB', '--x'), 2e9);
  t.equal(bytes.parse('12345', '--x'), 12345);
  refuses(t, bytes, ['', '0', '0MB', '0.1', '-1', '1mb', '1KB', '1MiB', 'MB', '2000GB', '1e3']);
});

t.test('where to run', async (t) => {
  t.equal(placeOf({ host: false, emulator: false }), 'auto');
  t.equal(placeOf({ host: true, emulator: false }), 'host');
  t.equal(placeOf({ host: false, emulator: true }), 'emulator');
  expectError(t, 'EM1208', /exclude each other/, () => placeOf({ host: true, emulator: true }));
});
