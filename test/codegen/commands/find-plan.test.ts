import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { findPlan } from '../../../codegen/commands/find-plan.js';
import { namedPlans } from '../../../codegen/quantize/plan.js';
import { expectError } from '../checkpoint/expect-error.js';

t.test('names', async (t) => {
  for (const [name, plan] of Object.entries(namedPlans)) t.same(findPlan(name, null), plan);
  t.same(findPlan('auto', null), namedPlans.int8);
  t.same(findPlan('int4', 128), { ...namedPlans.int4, groupSize: 128 });
  expectError(t, 'EM1202', /--quantize: there is no quantization 'int9'; there are auto, int8/, () =>
    findPlan('int9', null),
  );
  expectError(t, 'EM1202', /'toString'/, () => findPlan('toString', null));
});

t.test('files', async (t) => {
  const folder = t.testdir();
  const write = (text: string) => {
    const path = join(folder, 'plan.json');
    writeFileSync(path, text);
    return path;
  };
  const plan = { schemaVersion: 1, name: 'mine', groupSize: 64, rules: [{ match: '*', format: 'w5' }] };
  t.same(findPlan(write(JSON.stringify(plan)), null), { ...plan, rotate: true });
  t.same(findPlan(write(JSON.stringify(plan)), 32), { ...plan, groupSize: 32, rotate: true });
  const refused = (pattern: RegExp, path: string) =>
    expectError(t, 'EM2001', pattern, () => findPlan(path, null));
  refused(/there is no such file/, join(folder, 'none.json'));
  refused(/not a regular file/, `${folder}/`);
  refused(/not JSON/, write('{'));
  refused(/rules must be a list/, write('{"schemaVersion": 1, "rules": []}'));
  refused(/at most 1048576 are read/, write(' '.repeat(2 ** 20 + 1)));
});
