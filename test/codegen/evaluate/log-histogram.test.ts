import fc from 'fast-check';
import t from 'tap';
import { logHistogram } from '../../../codegen/evaluate/log-histogram.js';

t.test('by hand', async (t) => {
  const { counts, below, above } = logHistogram([
    0, -1e-12, 9e-8, 1.0001e-7, 2e-7, 1.001, 1.5, 1.6, 99, 100, 1e9,
  ]);
  t.equal(below, 3);
  t.equal(above, 2);
  t.same([counts[0], counts[1]], [1, 1], '1e-7 to 1.58e-7, and the next fifth of the decade');
  t.same([counts[35], counts[36]], [2, 1], '1 to 1.58, and the next');
  t.equal(counts[44], 1);
});

t.test('every value is in the one bin whose ends are around it', async () => {
  const values = fc.array(fc.double({ min: -8, max: 3, noNaN: true }), { maxLength: 50 });
  fc.assert(
    fc.property(values, (exponents) => {
      const { counts, below, above, firstDecade, binsPerDecade } = logHistogram(
        exponents.map((e) => 10 ** e),
      );
      const inBin = (i: number) => {
        const low = firstDecade + i / binsPerDecade;
        // Ends are computed another way here: values within rounding of one may be on either side.
        const near = (end: number) => exponents.filter((e) => Math.abs(e - end) < 1e-9).length;
        const inside = exponents.filter((e) => e >= low && e < low + 1 / binsPerDecade).length;
        return Math.abs(counts[i]! - inside) <= near(low) + near(low + 1 / binsPerDecade);
      };
      const total = counts.reduce((sum, count) => sum + count, below + above);
      return total === exponents.length && counts.every((_, i) => inBin(i));
    }),
  );
});
