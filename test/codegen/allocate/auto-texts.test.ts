import t from 'tap';
import { type AutoTexts, certificationHalf, chooseAutoTexts } from '../../../codegen/allocate/auto-texts.js';
import type { EvaluationWindows } from '../../../codegen/evaluate/evaluation-text.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { expectError } from '../checkpoint/expect-error.js';
import { shapeCheckpoint } from '../graph/shape-checkpoint.js';

const graph = buildGraph(shapeCheckpoint({}), 64);

/** Ids that say where they come from: no two of a text, or of texts with other `first`, are equal. */
const textOf = (name: string, first: number, count: number) => ({
  ...{ name, source: name, sha256: name },
  ids: Int32Array.from({ length: count }, (_, i) => first + i),
});
const calibration = textOf('calibration', 0, 100_000);
const validation = textOf('validation', 1_000_000, 40_000);

const usedBy = ({ fitted, allocation, certification }: AutoTexts) => [
  fitted.flat(),
  [...allocation.ids],
  [...(certification?.ids ?? [])],
];

t.test('texts are disjoint, and say what they hold', async (t) => {
  const texts = chooseAutoTexts(graph, calibration, validation)!;
  const parts = usedBy(texts);
  t.equal(new Set(parts.flat()).size, parts.flat().length, 'no id is in two of them');
  const [fitted, allocation, certification] = parts;
  t.ok(fitted!.every((id) => id < 100_000));
  t.ok(
    allocation!.every((id) => id >= 1_000_000 && id < 1_020_000),
    'the first half judges',
  );
  t.ok(
    certification!.every((id) => id >= 1_020_000),
    'the second half certifies',
  );
  t.ok(texts.probe.flat().every((id) => texts.allocation.ids.includes(id)));
  t.ok(texts.sensitivity.flat().every((id, i) => id === fitted![i]));
  t.ok(texts.moreFitted!.length > texts.fitted.length, 'there is more to fit to');
  const { record } = texts;
  t.match(record, {
    calibration: { name: 'calibration', tokens: fitted!.length, window: 64, windows: fitted!.length / 64 },
    allocation: { name: 'validation', tokens: allocation!.length, window: 64 },
    certification: { name: 'validation', tokens: certification!.length, window: 64 },
  });
  t.equal(
    new Set([record.calibration, record.allocation, record.certification].map((one) => one!.sha256)).size,
    3,
  );
});

t.test(
  'without a validation text the calibration text judges, behind what weights are fitted to',
  async (t) => {
    const texts = chooseAutoTexts(graph, calibration, null)!;
    t.equal(texts.certification, null);
    t.equal(texts.record.certification, null);
    const [fitted, allocation] = usedBy(texts);
    t.ok(Math.min(...allocation!) > Math.max(...fitted!));
  },
);

t.test('texts that are too short, or the same', async (t) => {
  t.equal(chooseAutoTexts(graph, textOf('short', 0, 1023), validation), null);
  expectError(t, 'EM2011', /validation: 7 tokens/, () =>
    chooseAutoTexts(graph, calibration, textOf('validation', 1e6, 7)),
  );
  expectError(t, 'EM2030', /copy: it holds the text/, () =>
    chooseAutoTexts(graph, calibration, { ...calibration, name: 'copy' }),
  );
  const shifted = {
    ...validation,
    ids: Int32Array.of(...validation.ids.subarray(0, 777), ...calibration.ids),
  };
  expectError(t, 'EM2030', /validation/, () => chooseAutoTexts(graph, calibration, shifted));
});

t.test('windows get shorter before there are too few of them to certify', async (t) => {
  const windowsOf = ({ ids, window }: EvaluationWindows) => ids.length / window;
  for (const tokens of [100, 1500, 4000, 9000]) {
    const { windows, record } = certificationHalf(graph, textOf('v', 0, tokens));
    t.ok(windows.window <= 64 && windows.ids.length <= tokens / 2, `${tokens}: ${windows.window}`);
    if (tokens >= 1500) t.ok(windowsOf(windows) >= 32, `${windowsOf(windows)} windows`);
    t.equal(record.windows, windowsOf(windows));
  }
});
