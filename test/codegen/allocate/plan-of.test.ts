import t from 'tap';
import { planOf } from '../../../codegen/allocate/plan-of.js';
import type { AllocatedFormat } from '../../../codegen/allocate/sensitivity.js';
import { namedPlans } from '../../../codegen/quantize/plan.js';

t.test('a plan of an allocation: the most common format last', async (t) => {
  const allocation: [string, AllocatedFormat][] = [
    ['a', 'w5'],
    ['b', 'w4'],
    ['c', 'w5'],
  ];
  t.same(planOf(new Map(allocation), 64, true), {
    ...{ schemaVersion: 1, name: 'auto', groupSize: 64, rotate: true },
    rules: [
      { match: 'b', format: 'w4' },
      { match: '*', format: 'w5' },
    ],
  });
  t.same(planOf(new Map([['a', 'w4' as const]]), 32, false).rules, namedPlans.int4!.rules);
});
