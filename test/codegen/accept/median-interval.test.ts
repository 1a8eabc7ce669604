import fc from 'fast-check';
import t from 'tap';
import { medianInterval } from '../../../codegen/accept/median-interval.js';

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

t.test('ranks of the bounds, by the table of the sign test', async (t) => {
  t.same(medianInterval([3, 1, 2]), { median: 2, lower95: null, upper95: null }, 'three say nothing');
  t.same(medianInterval([4, 1, 3, 2]), { median: 2.5, lower95: null, upper95: null });
  t.same(medianInterval(upTo(5)), { median: 3, lower95: 1, upper95: 5 }, '1/32 is below 5 %');
  t.same(medianInterval(upTo(8)), { median: 4.5, lower95: 2, upper95: 7 }, '9/256');
  t.same(
    medianInterval(upTo(11)),
    { median: 6, lower95: 3, upper95: 9 },
    '67/2048, and 232/2048 is too much',
  );
  t.same(medianInterval(upTo(20)), { median: 10.5, lower95: 6, upper95: 15 }, '2.07 %');
});

t.test('outliers do not move the bounds', async (t) => {
  const calm = medianInterval(upTo(11));
  t.same(medianInterval([...upTo(9), 1e9, 1e12]), { ...calm, upper95: 9 });
  t.same(medianInterval([-1e12, -1e9, ...upTo(11).slice(2)]), calm);
});

t.test('the order does not matter, and the median lies between the bounds', async () => {
  const values = fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 5, maxLength: 60 });
  fc.assert(
    fc.property(values, (list) => {
      const { median, lower95, upper95 } = medianInterval(list);
      const mirrored = medianInterval(list.map((value) => -value).reverse());
      return (
        lower95! <= median &&
        median <= upper95! &&
        mirrored.lower95 === -upper95! &&
        mirrored.upper95 === -lower95! &&
        Math.abs(mirrored.median + median) === 0
      );
    }),
  );
});
