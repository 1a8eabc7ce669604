import fc from 'fast-check';
import t from 'tap';
import { scoreTask } from '../../../codegen/accept/task-score.js';

const items = (both: number, onlyFloat: number, onlyQuantized: number, neither: number) => [
  ...Array<{ float: boolean; quantized: boolean }>(both).fill({ float: true, quantized: true }),
  ...Array<{ float: boolean; quantized: boolean }>(onlyFloat).fill({ float: true, quantized: false }),
  ...Array<{ float: boolean; quantized: boolean }>(onlyQuantized).fill({ float: false, quantized: true }),
  ...Array<{ float: boolean; quantized: boolean }>(neither).fill({ float: false, quantized: false }),
];

t.test('by hand', async (t) => {
  const score = scoreTask(items(60, 5, 2, 33));
  t.match(score, { items: 100, float: 0.65, quantized: 0.62, onlyFloat: 5, onlyQuantized: 2 });
  t.ok(Math.abs(score.dropPoints - 3) < 1e-12);
  // Differences are +1 five times, -1 twice, else 0: their variance is 0.07 - 0.03^2.
  t.ok(Math.abs(score.standardErrorPoints - 100 * Math.sqrt((0.07 - 0.0009) / 100)) < 1e-12);
  t.match(scoreTask(items(3, 0, 0, 1)), { dropPoints: 0, standardErrorPoints: 0, float: 0.75 });
  t.match(scoreTask(items(0, 4, 0, 0)), { dropPoints: 100, standardErrorPoints: 0 });
});

t.test('the drop is that of the shares, and the error that of the differences', async () => {
  const count = fc.nat(30);
  fc.assert(
    fc.property(fc.tuple(count, count, count, count), (counts) => {
      const list = items(...counts);
      if (list.length === 0) return true;
      const score = scoreTask(list);
      const differences = list.map(({ float, quantized }) => Number(float) - Number(quantized));
      const mean = differences.reduce((sum, d) => sum + d, 0) / list.length;
      const variance = differences.reduce((sum, d) => sum + (d - mean) ** 2, 0) / list.length;
      return (
        Math.abs(score.dropPoints - 100 * mean) < 1e-9 &&
        Math.abs(score.dropPoints - 100 * (score.float - score.quantized)) < 1e-9 &&
        Math.abs(score.standardErrorPoints - 100 * Math.sqrt(variance / list.length)) < 1e-9
      );
    }),
  );
});
