import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { measureSensitivities, type Sensitivity } from '../../../codegen/allocate/sensitivity.js';
import { openSensitivityCache, SensitivityCache } from '../../../codegen/allocate/sensitivity-cache.js';
import { quietContext } from '../evaluate/tiny-bundle.js';
import { tinyProblem } from './tiny-problem.js';

const problem = tinyProblem(t);
const folder = t.testdir();
process.env.XDG_CACHE_HOME = folder;

t.test('an interrupted measurement goes on where it stopped, and finds the same', async (t) => {
  const whole = await measureSensitivities(problem, quietContext());
  const stop = new AbortController();
  let measured = 0;
  const progress = {
    ...quietContext().progress,
    advance: () => {
      measured++;
      if (measured === 6) stop.abort(new Error('interrupted'));
    },
  };
  const store = () => openSensitivityCache(problem, 'model');
  await t.rejects(measureSensitivities({ ...problem, store: store() }, { progress, signal: stop.signal }));
  t.equal(store().size, 6);
  measured = -1e9;
  const before = measured;
  const again = await measureSensitivities({ ...problem, store: store() }, { ...quietContext(), progress });
  t.same(again, whole);
  t.equal(measured - before, whole.length - 6, 'only the others were measured');
  measured = -1e9;
  t.same(await measureSensitivities({ ...problem, store: store() }, { ...quietContext(), progress }), whole);
  t.equal(measured, -1e9, 'all of them are known');
});

t.test('another model, graph, text or group size is another cache', async (t) => {
  const pathOf = (changes: object, model = 'model') =>
    openSensitivityCache({ ...problem, ...changes }, model).path;
  const paths = [
    pathOf({}),
    pathOf({}, 'other'),
    pathOf({ groupSize: 64 }),
    pathOf({ graph: { ...problem.graph, epilogue: [] } }),
    pathOf({ probe: problem.probe.slice(1) }),
    pathOf({ calibration: problem.calibration.slice(1) }),
  ];
  t.equal(new Set(paths).size, paths.length);
  t.equal(pathOf({}), paths[0]);
});

t.test('what is damaged is left out; where nothing can be written, nothing is kept', async (t) => {
  const one: Sensitivity = { matrix: 'a', divergence: { w4: 0.1, w5: 0.02, w6: 0.005, w8: 0 } };
  const path = join(folder, 'some', 'lines.jsonl');
  new SensitivityCache(path).put(one);
  const damaged = [
    '{"matrix":"b","divergence":{"w4":-1,"w5":0,"w6":0,"w8":0}}',
    '{"matrix":"c","divergence":{"w4":1}}',
    '{"matrix":3}',
    'null',
    '{"matrix":"d","diverg',
  ];
  appendFileSync(path, damaged.join('\n'));
  const read = new SensitivityCache(path);
  t.equal(read.size, 1);
  t.same(read.get('a'), one);
  writeFileSync(join(folder, 'file'), '');
  mkdirSync(join(folder, 'kept'));
  const blocked = new SensitivityCache(join(folder, 'file', 'x.jsonl'));
  blocked.put(one);
  t.same(blocked.get('a'), one, 'it is known all the same');
  t.equal(readFileSync(join(folder, 'file'), 'utf8'), '');
});
