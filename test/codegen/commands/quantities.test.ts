import t from 'tap';
import {
  formatAmount,
  formatBytes,
  formatCount,
  formatDuration,
  formatMagnitude,
  formatRate,
} from '../../../codegen/commands/quantities.js';
import { fieldList, textTable } from '../../../codegen/commands/text-table.js';
import { wrapText } from '../../../codegen/commands/wrap-text.js';

t.test('numbers', async (t) => {
  t.same([0, 999, 1000, 3_443_136].map(formatCount), ['0', '999', '1,000', '3,443,136']);
  t.same(
    [0, 7, 0.5551, 12.34, 123.4, 999.4, 999.5, 1000, 12_345, 999_499, 999_500, 3_672_512, 5e9, 4.2e15].map(
      formatMagnitude,
    ),
    [
      '0',
      '7',
      '0.56',
      '12.3',
      '123',
      '999',
      '1.00 k',
      '1.00 k',
      '12.3 k',
      '999 k',
      '1.00 M',
      '3.67 M',
      '5.00 G',
      '4200 T',
    ],
  );
  t.same([0, 512, 2128, 3_672_512].map(formatBytes), ['0 bytes', '512 bytes', '2.13 kB', '3.67 MB']);
  t.equal(formatAmount(1, 'token'), '1 token');
  t.equal(formatAmount(4096, 'token'), '4,096 tokens');
  t.equal(formatAmount(3_443_136, 'weight'), '3.44 M weights');
  t.same(
    [0.55, 99.94, 99.96, 3291.7, 2.5e6].map((rate) => formatRate(rate, 'token')),
    ['0.55 tokens/s', '99.9 tokens/s', '100 tokens/s', '3,292 tokens/s', '2.50 M tokens/s'],
  );
});

t.test('times', async (t) => {
  t.same(
    [0, 0.0052, 0.0999, 0.42, 0.9994, 1, 9.994, 9.995, 59.94, 59.95, 187, 3599.4, 3599.6, 7380].map(
      formatDuration,
    ),
    [
      ...[
        '0.0 ms',
        '5.2 ms',
        '99.9 ms',
        '420 ms',
        '999 ms',
        '1.00 s',
        '9.99 s',
        '10.0 s',
        '59.9 s',
        '1 min 00 s',
      ],
      ...['3 min 07 s', '59 min 59 s', '1 h 00 min', '2 h 03 min'],
    ],
  );
});

t.test('tables', async (t) => {
  const columns = [{ title: 'name' }, { title: 'size', align: 'right' }, { title: 'note' }] as const;
  t.equal(
    textTable(columns, [
      ['a', '1', ''],
      ['longer', '1000', 'x'],
    ]),
    ['name    size  note', 'a          1', 'longer  1000  x'].join('\n'),
  );
  t.equal(textTable(columns, []), 'name  size  note');
  t.equal(
    fieldList([['a', 'one\ntwo'], null, ['long', 'x']]),
    ['a     one', '      two', 'long  x'].join('\n'),
  );
});

t.test('paragraphs', async (t) => {
  t.same(wrapText('one two three', 7), ['one two', 'three']);
  t.same(wrapText('extraordinary it is', 5), ['extraordinary', 'it is']);
  t.same(wrapText('', 5), ['']);
});
