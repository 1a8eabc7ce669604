import fc from 'fast-check';
import t from 'tap';
import {
  type Allocation,
  closestAllocation,
  describe,
  smallestAllocation,
} from '../../../codegen/allocate/allocate-bits.js';
import {
  type AllocatedFormat,
  allocatedFormats,
  type Sensitivity,
} from '../../../codegen/allocate/sensitivity.js';

interface Problem {
  readonly sensitivities: readonly Sensitivity[];
  readonly bytesOf: (matrix: string, format: AllocatedFormat) => number;
}

/** Up to five matrices; more bits mostly, but not always, mean less divergence. */
const problems = fc
  .array(
    fc.record({
      weights: fc.integer({ min: 1, max: 5000 }),
      w4: fc.oneof(fc.constant(0), fc.double({ min: 1e-9, max: 0.1, noNaN: true })),
      ratio: fc.double({ min: 0.1, max: 1.1, noNaN: true }),
    }),
    { minLength: 1, maxLength: 5 },
  )
  .map((matrices): Problem => {
    const sensitivities = matrices.map(({ w4, ratio }, i) => ({
      matrix: `m${i}`,
      divergence: { w4, w5: w4 * ratio, w6: w4 * ratio ** 2, w8: w4 * ratio ** 4 },
    }));
    const bits = { w4: 4.25, w5: 5.25, w6: 6.25, w8: 8 };
    const bytesOf = (matrix: string, format: AllocatedFormat) =>
      Math.ceil((matrices[Number(matrix.slice(1))]!.weights * bits[format]) / 8);
    return { sensitivities, bytesOf };
  });

function* everyChoice({ sensitivities, bytesOf }: Problem): Generator<Allocation> {
  for (let choice = 0; choice < 4 ** sensitivities.length; choice++) {
    const formats = sensitivities.map(({ matrix }, i): [string, AllocatedFormat] => [
      matrix,
      allocatedFormats[(choice >> (2 * i)) & 3]!,
    ]);
    yield describe(sensitivities, bytesOf, new Map(formats));
  }
}

function bestOf(choices: Iterable<Allocation>, isBetter: (a: Allocation, b: Allocation) => boolean) {
  let best: Allocation | null = null;
  for (const one of choices) if (best === null || isBetter(one, best)) best = one;
  return best;
}

const within = (problem: Problem, limit: number) =>
  bestOf(
    [...everyChoice(problem)].filter(({ divergence }) => divergence <= limit),
    (a, b) => a.bytes < b.bytes,
  );

t.test('the smallest blob for a divergence is that of trying everything', async () => {
  fc.assert(
    fc.property(problems, fc.double({ min: 1e-4, max: 0.3, noNaN: true }), (problem, limit) => {
      const { sensitivities, bytesOf } = problem;
      const found = smallestAllocation(sensitivities, bytesOf, limit);
      // Each divergence is rounded up to 1/4000 of the limit, so that much of it may stay unused.
      const best = within(problem, limit);
      const sure = within(problem, limit * (1 - (sensitivities.length + 1e-6) / 4000));
      if (found === null) return sure === null;
      const said = describe(sensitivities, bytesOf, found.formats);
      return (
        found.divergence <= limit * (1 + 1e-9) &&
        said.bytes === found.bytes &&
        said.divergence === found.divergence &&
        found.bytes >= best!.bytes &&
        (sure === null || found.bytes <= sure.bytes)
      );
    }),
    { numRuns: 200, seed: 6 },
  );
});

t.test('the least divergence for a size is that of trying everything', async () => {
  fc.assert(
    fc.property(problems, fc.double({ min: 0, max: 1, noNaN: true }), (problem, share) => {
      const { sensitivities, bytesOf } = problem;
      const sizeOf = (format: AllocatedFormat) =>
        sensitivities.reduce((sum, { matrix }) => sum + bytesOf(matrix, format), 0);
      const maxBytes = Math.floor(sizeOf('w4') * (0.9 + 1.2 * share));
      const best = bestOf(
        [...everyChoice(problem)].filter(({ bytes }) => bytes <= maxBytes),
        (a, b) => a.divergence < b.divergence,
      );
      const found = closestAllocation(sensitivities, bytesOf, maxBytes);
      if (found === null || best === null) return found === null && best === null;
      const slack = (best.divergence * (sensitivities.length + 1)) / 4000;
      return found.bytes <= maxBytes && found.divergence <= best.divergence + slack + 1e-12;
    }),
    { numRuns: 200, seed: 7 },
  );
});

t.test('more bits go where they help most', async (t) => {
  const scaled = (w4: number) => ({ w4, w5: w4 / 4, w6: w4 / 16, w8: w4 / 256 });
  const sensitivities = [
    { matrix: 'calm', divergence: scaled(0.001) },
    { matrix: 'touchy', divergence: scaled(0.1) },
  ];
  const bytesOf = (_: string, format: AllocatedFormat) => 1000 * Number(format.slice(1));
  const { formats } = smallestAllocation(sensitivities, bytesOf, 0.008)!;
  t.same(
    [...formats],
    [
      ['calm', 'w4'],
      ['touchy', 'w6'],
    ],
  );
  t.equal(smallestAllocation(sensitivities, bytesOf, 1e-6), null);
  t.equal(closestAllocation(sensitivities, bytesOf, 7999), null);
  t.equal(closestAllocation(sensitivities, bytesOf, 8000)!.bytes, 8000);
});
