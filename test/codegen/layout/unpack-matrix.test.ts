import fc from 'fast-check';
import t from 'tap';
import { kernelSetOf } from '../../../codegen/layout/kernel-set.js';
import { unpackMatrix } from '../../../codegen/layout/unpack-matrix.js';
import { formatNames } from '../../../codegen/quantize/format.js';
import { leastExponent } from '../../../codegen/quantize/row-scale.js';
import { kernelSets } from '../../../targets/target.js';
import { Vectors } from '../arithmetic/vectors.js';
import { randomMatrix } from '../quantize/random-matrix.js';

const shapes = fc.record({
  format: fc.constantFrom(...formatNames),
  rows: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(16, 17, 31, 32, 33, 50, 65)),
  columns: fc.oneof(fc.integer({ min: 1, max: 140 }), fc.constantFrom(31, 32, 33, 64, 65, 96, 128)),
});

for (const set of kernelSets) {
  t.test(`${set}: matrices come back as they were packed`, async (t) => {
    fc.assert(
      fc.property(shapes, fc.bigInt({ min: 0n, max: 2n ** 32n }), (shape, seed) => {
        const { format, rows, columns } = shape;
        const matrix = randomMatrix(new Vectors(seed), shape);
        const layout = kernelSetOf(set).layoutFor(format);
        const section = layout.pack(matrix);
        if (section.length !== layout.sectionBytes(format, rows, columns)) return false;
        const found = unpackMatrix(layout, section, matrix.name, {
          ...shape,
          leastExponent: leastExponent(matrix),
        });
        const same = (a: ArrayLike<number>, b: ArrayLike<number>) =>
          a.length === b.length && Array.from(a).every((value, i) => value === b[i]);
        return (
          same(found.integers, matrix.integers) &&
          same(found.subScales ?? [], matrix.subScales ?? []) &&
          same(found.mantissas, matrix.mantissas) &&
          same(found.exponents, matrix.exponents)
        );
      }),
      { numRuns: 300, seed: 8 },
    );
    t.pass('300 matrices of every format');
  });
}
