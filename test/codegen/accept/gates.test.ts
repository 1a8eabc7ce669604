import fc from 'fast-check';
import t from 'tap';
import { verdictOf } from '../../../codegen/accept/acceptance.js';
import { gateAdvice } from '../../../codegen/accept/gate-advice.js';
import {
  type Gate,
  type GateName,
  lossGate,
  meanBits,
  repetitionGate,
  sizeGate,
  speedGate,
  taskGate,
} from '../../../codegen/accept/gates.js';
import { type ComparedOutput, compareOutput } from '../../../codegen/accept/output-comparison.js';
import { scoreTask } from '../../../codegen/accept/task-score.js';
import { acceptanceSummary } from '../../../codegen/commands/acceptance-summary.js';
import { logHistogram } from '../../../codegen/evaluate/log-histogram.js';
import type { ValidationReport } from '../../../codegen/evaluate/validation-report.js';
import type { FormatName } from '../../../codegen/quantize/format.js';

const report: ValidationReport = {
  ...{ schemaVersion: 1, model: 'hand', plan: 'int8', text: { name: 'text', sha256: '00' }, window: 64 },
  ...{
    windows: 40,
    tokens: 2520,
    reference: { nll: 2, perplexity: 7.389 },
    quantized: { nll: 2, perplexity: 7.4 },
  },
  lnRatio: { mean: 0.004, standardError: 0.001, upper95: 0.006 },
  kld: {
    mean: 0.01,
    standardError: 0.001,
    median: 0.01,
    p95: 0.02,
    p99: 0.03,
    p999: 0.04,
    max: 0.05,
    histogram: logHistogram([]),
  },
  sameTop: { fraction: 0.97, standardError: 0.003 },
  ...{ accepted: true, speedAgainst16Bit: 1.8, sizeAgainst16Bit: 0.5, threshold: 0.02, integerCost: null },
};

t.test('loss', async (t) => {
  const gate = lossGate(report, 0.02);
  t.match(gate, { name: 'loss', passed: true, limit: 0.02, found: Math.expm1(0.006) });
  t.equal(gate.text, 'perplexity +0.40 %, below +0.60 % with 95 % confidence; the limit is +2.0 %');
  t.match(lossGate({ ...report, accepted: false }, 0.02), { passed: false, text: /up to \+0\.60 %/ });
  const few = { ...report, windows: 5, accepted: null, lnRatio: { ...report.lnRatio, upper95: null } };
  t.match(lossGate(few, 0.02), { passed: null, found: null, text: /5 windows are too few/ });
});

const speed = (lower95: number | null, median: number, upper95: number | null) => ({
  ...{ pairs: 11, steps: 32, ratio: { lower95, median, upper95 } },
});

t.test('speed: passed or failed only where the whole interval says so', async (t) => {
  t.match(speedGate(speed(1.5, 1.6, 1.7), 8), { passed: true, found: 1.6, limit: 1.5 });
  t.match(speedGate(speed(1.2, 1.3, 1.49), 8), { passed: false, found: 1.3 });
  t.match(speedGate(speed(1.4, 1.6, 1.7), 8), { passed: null, found: 1.6, text: /too near to the limit/ });
  t.match(speedGate(speed(null, 9, null), 8), { passed: null });
  t.match(speedGate(speed(1, 1, 1), 16), { passed: null, text: /keeps 16\.00 bits/ });
  t.match(speedGate('no such machine', 4), {
    passed: null,
    found: null,
    text: 'not judged: no such machine',
  });
});

t.test('size: what the bits promise, less a tenth', async (t) => {
  const limits = [16, 8, 6, 5, 4].map((bits) => Number(sizeGate(0.5, bits).limit.toFixed(2)));
  t.same(limits, [0.9, 1.8, 2.4, 2.7, 2.7]);
  t.match(sizeGate(1 / 1.98, 8), {
    passed: true,
    text: /^1\.98 times smaller .* 1\.80 is the least for 8\.00 bits$/,
  });
  t.match(sizeGate(1 / 1.79, 8), { passed: false });
  t.match(sizeGate(1 / 2.6, 4), { passed: false }, 'padding that eats what 4 bits save');
  t.match(sizeGate(0.9, 12), { passed: null });
  t.match(sizeGate(null, 8), { passed: null, found: null });
  const tensor = (format: FormatName, rows: number) => ({ name: 'x', format, rows, columns: 10, bytes: 1 });
  t.equal(meanBits([tensor('w4', 30), tensor('w8', 10)]), 5);
  t.equal(meanBits([tensor('w8t', 1), tensor('w16', 1)]), 12);
});

/** An output whose continuations repeat `float` and `quantized` of their five 4-grams. */
function output(float: number, quantized: number): ComparedOutput {
  const text = (repeated: number) => {
    // 1 2 3 4 1 2 3 4: the fifth 4-gram is the first again; all others differ.
    const whole = compareOutput({ text: null, ids: [0] }, [], [], null).float;
    return { ...whole, repetition: [0, 0, repeated / 5] };
  };
  const base = compareOutput({ text: null, ids: [0] }, [1], [1], null);
  return { ...base, float: text(float), quantized: text(quantized) };
}

t.test('repetition fails only where chance does not explain it', async (t) => {
  const worse = Array.from({ length: 16 }, (_, i) => output(i % 2, 3 + (i % 2)));
  t.match(repetitionGate({ outputs: worse }), { passed: false, text: /more, with 95 % confidence/ });
  const same = Array.from({ length: 16 }, (_, i) => output(i % 5, (16 - i) % 5));
  t.match(repetitionGate({ outputs: same }), { passed: true });
  const mixed = Array.from({ length: 16 }, (_, i) => (i === 0 ? output(0, 2) : output(1, 1)));
  const gate = repetitionGate({ outputs: mixed });
  const chance = { passed: true, figures: { prompts: 16 }, text: /no more than chance explains$/ };
  t.match(gate, chance, 'one prompt of sixteen is no evidence');
  t.ok(gate.found! > 0);
  t.match(repetitionGate({ outputs: worse.slice(0, 7) }), {
    passed: null,
    text: /7 prompts are fewer than 8/,
  });
  t.match(
    repetitionGate({
      outputs: worse.map(({ float, quantized, ...rest }) => ({
        ...rest,
        float: quantized,
        quantized: float,
      })),
    }),
    { passed: true, text: /no more$/ },
    'less is welcome',
  );
});

t.test('repetition of a model that quantization did not change always passes', async () => {
  const shares = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 8, maxLength: 40 });
  fc.assert(
    fc.property(shares, (list) => {
      const { passed, found } = repetitionGate({ outputs: list.map((share) => output(share, share)) });
      return passed === true && found === 0;
    }),
    { numRuns: 20 },
  );
});

t.test('task: a drop of two points is too many', async (t) => {
  const solved = (both: number, onlyFloat: number, neither: number) =>
    taskGate(
      scoreTask([
        ...Array.from({ length: both }, () => ({ float: true, quantized: true })),
        ...Array.from({ length: onlyFloat }, () => ({ float: true, quantized: false })),
        ...Array.from({ length: neither }, () => ({ float: false, quantized: false })),
      ]),
    );
  t.match(solved(70, 1, 29), { passed: true, found: 1, limit: 2, text: /-1\.00 points/ });
  t.match(solved(70, 2, 28), { passed: false, found: 2 });
  t.match(solved(40, 0, 9), { passed: null, text: /fewer than 50 items/ });
});

t.test('all gates together', async (t) => {
  const gate = (name: Gate['name'], passed: boolean | null): Gate => ({
    ...{ name, passed, found: 1, limit: 1, figures: {}, text: 'because' },
  });
  t.equal(verdictOf([gate('loss', true), gate('speed', true)]), true);
  t.equal(verdictOf([gate('loss', true), gate('speed', null)]), true, 'what is not judged does not fail');
  t.equal(verdictOf([gate('loss', null), gate('speed', true)]), null);
  t.equal(verdictOf([gate('loss', null), gate('size', false)]), false);
  t.equal(verdictOf([gate('loss', true), gate('task', false)]), false);
  const text = acceptanceSummary({
    ...{ schemaVersion: 1, model: 'm', target: 't', plan: 'p', build: { id: '', quantizedSha256: '' } },
    ...{
      text: { name: 'x', sha256: '' },
      gates: [gate('loss', true), gate('speed', null), gate('size', false)],
    },
    ...{ accepted: false, advice: [] },
  });
  t.equal(
    text,
    'loss      passed  because\nspeed     open    because\nsize      FAILED  because\naccepted  NO: a gate failed',
  );
});

t.test('what was not measured is open, and says why', async (t) => {
  for (const gate of [
    lossGate('no text', 0.02),
    speedGate('no text', 8),
    repetitionGate('no text'),
    taskGate('no text'),
  ])
    t.match(gate, { passed: null, found: null, figures: {}, text: 'not judged: no text' }, gate.name);
  t.equal(verdictOf([lossGate('no text', 0.02), sizeGate(0.5, 8)]), null);
});

t.test('each gate that failed has its advice', async (t) => {
  const failed = (name: GateName): Gate => ({ ...lossGate(report, 0.02), name, passed: false });
  const names: GateName[] = ['loss', 'speed', 'size', 'repetition', 'task'];
  for (const plan of ['auto', 'int4']) {
    const advice = gateAdvice(names.map(failed), plan);
    t.same(
      advice.slice(0, -1).map((line) => line.split(':')[0]),
      names,
    );
    t.match(advice.at(-1), /quantization in mind/);
  }
  t.equal(gateAdvice([failed('size')], 'int8').length, 1, 'training would not make it smaller');
  t.notMatch(gateAdvice([failed('size')], 'auto').join(), /--quantize auto/, 'which was taken');
  t.same(gateAdvice([lossGate(report, 0.02)], 'int8'), []);
});
