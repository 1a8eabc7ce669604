/** Plans after the first are judged by the likelihoods of the checkpoint that the first one left: with the same result. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { whyNotMeasurable } from '../../../codegen/allocate/certify.js';
import { EmittedJudge } from '../../../codegen/allocate/emitted-judge.js';
import { Pcg32 } from '../../../codegen/arithmetic/pcg32.js';
import { hostTarget } from '../../../codegen/evaluate/host-target.js';
import { openReferenceSource, readReference } from '../../../codegen/evaluate/reference-model.js';
import { buildTinyBundle, quietContext } from '../evaluate/tiny-bundle.js';

const WINDOW = 16;

t.test('judging plans one after another', { skip: (await whyNotMeasurable()) ?? false }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'em-judge-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const target = await hostTarget();
  const random = new Pcg32(5n);
  const ids = Int32Array.from({ length: 6 * WINDOW }, () => random.nextBelow(12));
  const opened = async (plan: string) => {
    const { bundle, manifest } = await buildTinyBundle(join(folder, plan), target, plan);
    const source = openReferenceSource(manifest, null);
    t.teardown(() => source.checkpoint.close());
    const { model } = await readReference(bundle, manifest, source, quietContext());
    return { source, plan: manifest.plan, model };
  };
  const int8 = await opened('int8');
  const int4 = await opened('int4');
  const judgeOf = () => new EmittedJudge(int8.source, { ids, window: WINDOW, left: 0 }, 0.02);
  const measure = (judge: EmittedJudge, { plan, model }: typeof int8) =>
    judge.measure(plan, model, quietContext());

  const judge = judgeOf();
  const first = await measure(judge, int8);
  t.ok(first.kld !== null && first.kld > 0 && first.upper95 !== null);
  t.equal(first.positions, 6 * (WINDOW - 1));
  t.same(await measure(judge, int8), { ...first, kld: null }, 'to the last bit');
  const fresh = await measure(judgeOf(), int4);
  t.notSame(fresh.lnRatio, first.lnRatio);
  t.same(await measure(judge, int4), { ...fresh, kld: null });
});
