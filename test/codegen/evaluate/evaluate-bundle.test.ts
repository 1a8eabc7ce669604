import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { FloatEvaluator, type FloatWeights } from '../../../codegen/calibrate/float-evaluator.js';
import { dequantizedWeights } from '../../../codegen/calibrate/float-weights.js';
import { PlainLinearAlgebra } from '../../../codegen/calibrate/linear-algebra-plain.js';
import { findToolchain } from '../../../codegen/compile/toolchain.js';
import type { DiagnosticCode } from '../../../codegen/diagnostics/catalog.js';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { type EvaluateOptions, evaluateBundle } from '../../../codegen/evaluate/evaluate-bundle.js';
import { type EvaluationJob, evaluateWindows } from '../../../codegen/evaluate/evaluate-windows.js';
import { cutWindows, readIds, readText } from '../../../codegen/evaluate/evaluation-text.js';
import { hostTarget } from '../../../codegen/evaluate/host-target.js';
import { IntegerEvaluator } from '../../../codegen/evaluate/integer-evaluator.js';
import { LogitsStream } from '../../../codegen/evaluate/logits-stream.js';
import { openReferenceSource, readReference } from '../../../codegen/evaluate/reference-model.js';
import { Validation } from '../../../codegen/evaluate/statistics.js';
import { openTokenizer } from '../../../codegen/tokenizer/tokenizer.js';
import { targets } from '../../../targets/index.js';
import { writeTinyModel } from '../checkpoint/tiny-model.js';
import { buildTinyBundle, editManifest, quietContext, type TinyBundle } from './tiny-bundle.js';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const shared = join(root, '..', 'shared');

const folder = mkdtempSync(join(tmpdir(), 'em-evaluate-'));
t.teardown(() => rmSync(folder, { recursive: true }));
// What is left behind in the temporary folder shows.
const temporary = join(folder, 'tmp');
mkdirSync(temporary);
process.env.TMPDIR = temporary;
/** What is left there, without what Node's own caches of compiled code put there. */
const leftovers = () => readdirSync(temporary).filter((name) => !name.startsWith('v8-compile-cache'));

const CONTEXT = 64;
const VOCABULARY = 12;

/** Ids that differ from window to window, of the tiny model's vocabulary. */
function writeIds(name: string, count: number): string {
  let state = 1;
  const ids = Uint16Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 16) % VOCABULARY;
  });
  const path = join(folder, name);
  writeFileSync(path, ids);
  return path;
}

const defaults: EvaluateOptions = {
  ...{ text: null, ids: null, model: null, window: null, limit: null, threshold: 0.02, integerCost: false },
};

async function expectRejection(t: Test, code: DiagnosticCode, pattern: RegExp, promise: Promise<unknown>) {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof EmbedError)) throw error ?? new Error(`${code} was not thrown`);
  t.equal(error.code, code, error.message);
  t.match(`${error.where}: ${error.why}`, pattern);
}

/** What the threads are to find, with another linear algebra and the integer reference instead of em-run. */
async function expected(
  { bundle, manifest }: TinyBundle,
  ids: Int32Array,
  window: number,
  dequantized: boolean,
) {
  const source = openReferenceSource(manifest, null);
  try {
    const { graph, weights, matrices, model } = await readReference(bundle, manifest, source, quietContext());
    const floatWeights: FloatWeights = dequantized
      ? dequantizedWeights(source.checkpoint, graph, matrices)
      : weights;
    const float = new FloatEvaluator(graph, floatWeights, new PlainLinearAlgebra());
    const integer = new IntegerEvaluator(model);
    const validation = new Validation();
    for (let at = 0; at < ids.length; at += window) {
      float.reset();
      integer.rewind(0);
      for (let i = at; i < at + window - 1; i++) {
        const reference = float.run([ids[i]!]);
        const values = integer.decode(ids[i]!);
        validation.add(at / window, reference, { values, scale: 2 ** -model.logitsFrac }, ids[i + 1]!);
      }
    }
    return validation.report({ threshold: 0.02 });
  } finally {
    source.checkpoint.close();
  }
}

const obstacle = await hostTarget().then(
  async (target) => {
    await findToolchain(target);
    return false as const;
  },
  (error: unknown) => {
    if (error instanceof EmbedError && /^EM3/.test(error.code)) return error.message;
    throw error;
  },
);

t.test('bundles on this machine', { skip: obstacle }, async (t) => {
  const target = await hostTarget();
  // Built for another target than this machine's where that is possible, and evaluated here all the same.
  const foreign = targets.find(({ arch }) => arch !== target.arch)!;
  const installed = await findToolchain(foreign).then(
    () => true,
    () => false,
  );
  const tiny = await buildTinyBundle(folder, installed ? foreign : target);
  const native = installed ? await buildTinyBundle(join(folder, 'native'), target) : tiny;
  const { bundle, manifest } = tiny;

  t.test('a report of what the reference and em-run predict', async (t) => {
    const ids = writeIds('few.u16', 3 * CONTEXT + 5);
    const context = quietContext();
    const report = await evaluateBundle(bundle, { ...defaults, ids, integerCost: true }, context);
    t.match(context.warnings.join(), /the last 5 tokens fill no window of 64/);
    t.match(report, { schemaVersion: 1, window: CONTEXT, windows: 3, tokens: 3 * (CONTEXT - 1) });
    t.match(report, {
      model: 'model',
      plan: 'int8',
      threshold: 0.02,
      accepted: null,
      speedAgainst16Bit: null,
    });
    t.match(report.text, { name: 'few.u16', sha256: /^[0-9a-f]{64}$/ });
    t.ok(
      report.sizeAgainst16Bit! > 0.5 && report.sizeAgainst16Bit! < 2,
      'scales and whole tiles weigh in small matrices',
    );

    const text = cutWindows(readIds(ids, VOCABULARY), CONTEXT, null);
    const wanted = await expected(tiny, text.ids, CONTEXT, false);
    for (const side of ['reference', 'quantized'] as const) {
      t.ok(Math.abs(report[side].nll - wanted[side].nll) < 1e-5, `${side}: ${report[side].nll}`);
    }
    t.ok(Math.abs(report.kld.mean - wanted.kld.mean) < 1e-5, 'divergence');
    t.ok(Math.abs(report.lnRatio.upper95! - wanted.lnRatio.upper95!) < 1e-5, 'bound');
    t.equal(report.sameTop.fraction, wanted.sameTop.fraction);

    const cost = await expected(tiny, text.ids, CONTEXT, true);
    t.ok(Math.abs(report.integerCost!.reference.nll - cost.reference.nll) < 1e-5, 'integer cost: reference');
    t.ok(Math.abs(report.integerCost!.lnRatio.mean - cost.lnRatio.mean) < 1e-5, 'integer cost');
    t.notSame(report.integerCost!.reference, report.reference);

    const written = JSON.parse(readFileSync(join(bundle, 'report', 'validation_report.json'), 'utf8'));
    t.same(written, report);
    t.same(
      readdirSync(join(bundle, 'report')),
      ['quantization_summary.json', 'result.json', 'validation_report.json'],
      'nothing half-written',
    );
    t.same(leftovers(), [], 'the build is gone');
  });

  t.test('enough windows are judged; --limit and --window cut them', async (t) => {
    const ids = writeIds('many.u16', 40 * CONTEXT);
    const judge = (options: Partial<EvaluateOptions>) =>
      evaluateBundle(bundle, { ...defaults, ids, ...options }, quietContext());
    const all = await judge({ window: 16, limit: 700 });
    t.match(all, { window: 16, windows: 43, tokens: 43 * 15, integerCost: null });
    t.equal(all.accepted, Math.expm1(all.lnRatio.upper95!) < 0.02);
    const strict = await judge({ window: 16, limit: 700, threshold: -0.99 });
    t.equal(strict.accepted, false);
    t.same({ ...strict, threshold: 0.02, accepted: all.accepted }, all, 'the same figures, bit for bit');
  });

  t.test('the number of threads changes nothing', async (t) => {
    const idsFile = writeIds('threads.u16', 7 * CONTEXT);
    const job: EvaluationJob = {
      ...{
        target,
        idsFile,
        window: CONTEXT,
        ids: readIds(idsFile, VOCABULARY).ids,
        kept: null,
        rotate: false,
        matrices: null,
      },
      binary: join(native.bundle, 'bin', 'em-run'),
      blob: join(native.bundle, 'model.blob'),
      ...{
        checkpoint: native.model,
        completion: null,
        folds: new Map(),
        context: CONTEXT,
        vocabSize: VOCABULARY,
        logitsFrac: native.manifest.logitsFrac,
      },
    };
    const reports = [];
    for (const threads of [1, 3, 9]) {
      const validation = new Validation();
      for (const { reference } of await evaluateWindows(job, threads, quietContext()))
        validation.merge(reference);
      reports.push(validation.report({ threshold: 0.02 }));
    }
    t.equal(reports[0]!.windows, 7);
    t.same(reports[1], reports[0]);
    t.same(reports[2], reports[0]);

    await t.test('likelihoods alone are those that are found beside the checkpoint', async (t) => {
      const beside = await evaluateWindows(job, 2, quietContext());
      const noCheckpoint = { ...job, checkpoint: join(folder, 'missing'), likelihoodOnly: true };
      for (const threads of [1, 3]) {
        const alone = await evaluateWindows(noCheckpoint, threads, quietContext());
        t.same(
          alone.flatMap(({ likelihoods }) => likelihoods),
          beside.flatMap(({ reference }) =>
            reference.map(({ window, nllQuantized }) => ({ window, nll: nllQuantized })),
          ),
        );
      }
    });

    await t.test('a runner that fails, or says too little, is an error of its own', async (t) => {
      const broken = { ...job, blob: join(folder, 'missing.blob') };
      await expectRejection(t, 'EM3204', /missing\.blob/, evaluateWindows(broken, 3, quietContext()));
      const silent = { ...job, binary: '/bin/true' };
      await expectRejection(t, 'EM3204', /of 0 positions/, evaluateWindows(silent, 2, quietContext()));
      const standing = { ...job, binary: join(folder, 'standing'), silenceTimeoutMs: 300 };
      writeFileSync(standing.binary, '#!/bin/sh\nexec sleep 600\n', { mode: 0o755 });
      await expectRejection(
        t,
        'EM3203',
        /wrote nothing for 0\.3 s/,
        evaluateWindows(standing, 2, quietContext()),
      );
      const garbled = { ...job, logitsFrac: Number.NaN };
      await expectRejection(t, 'EM2010', /scale/, evaluateWindows(garbled, 2, quietContext()));
    });
  });

  t.test('an interruption stops everything and leaves nothing', async (t) => {
    const ids = writeIds('long.u16', 400 * CONTEXT);
    const controller = new AbortController();
    const { progress } = quietContext();
    let evaluating = false;
    const begin = (stage: string) => {
      evaluating = stage === 'evaluate';
    };
    const advance = () => {
      if (evaluating) controller.abort();
    };
    const context = { progress: { ...progress, begin, advance }, signal: controller.signal };
    await t.rejects(evaluateBundle(bundle, { ...defaults, ids }, context), { name: 'AbortError' });
    t.same(leftovers(), []);
  });

  t.test('what cannot be evaluated', async (t) => {
    const ids = writeIds('good.u16', 2 * CONTEXT);
    const reject = (code: DiagnosticCode, pattern: RegExp, options: Partial<EvaluateOptions>, of = bundle) =>
      expectRejection(t, code, pattern, evaluateBundle(of, { ...defaults, ids, ...options }, quietContext()));
    const file = (name: string, bytes: Uint8Array) => {
      writeFileSync(join(folder, name), bytes);
      return join(folder, name);
    };
    await reject('EM2012', /ENOENT/, { ids: join(folder, 'nowhere.u16') });
    await reject('EM2012', /3 bytes/, { ids: file('odd.u16', new Uint8Array(3)) });
    await reject('EM2012', /id 12 at 1 is outside the vocabulary of 12/, {
      ids: file('beyond.u16', Uint8Array.of(1, 0, 12, 0)),
    });
    await reject('EM2011', /0 tokens/, { ids: file('empty.u16', new Uint8Array(0)) });
    await reject('EM2011', /1 tokens/, { limit: 1 });
    await reject('EM2012', /without a tokenizer/, {
      ids: null,
      text: file('some.txt', Buffer.from('some text')),
    });
    await reject('EM1202', /65 is not from 2 to the context of 64/, { window: 65 });
    await reject('EM1401', /manifest\.json/, {}, folder);

    const other = writeTinyModel(join(folder, 'other'), { config: { rms_norm_eps: 1e-6 } });
    await reject('EM2013', /SHA-256/, { model: other });
    const { model, plan, context } = manifest;
    editManifest(bundle, () => ({ model: { ...model, source: join(folder, 'gone') } }));
    await reject('EM2013', /is not there/, {});
    editManifest(bundle, () => ({ model, plan: { ...plan, rules: [] } }));
    await reject('EM2001', /at least one rule/, {});
    const { build } = manifest;
    editManifest(bundle, () => ({ plan, build: { ...build, quantizedSha256: '00' } }));
    await reject('EM2014', /quantized hash/, {});
    editManifest(bundle, () => ({ build: { ...build, id: '00' } }));
    await reject('EM2014', /its blob is of build/, {});
    editManifest(bundle, () => ({ build }));
    const path = join(bundle, 'model.blob');
    const blob = readFileSync(path);
    writeFileSync(
      path,
      blob.map((byte, i) => (i === blob.length - 200 ? byte ^ 1 : byte)),
    );
    await reject('EM1407', /SHA-256/, {});
    rmSync(path);
    await reject('EM1402', /ENOENT/, {});
    writeFileSync(path, blob);
    editManifest(bundle, () => ({ context: 1e9 }));
    await reject('EM1401', /context is 1000000000/, {});
    editManifest(bundle, (m) => ({ context, quantization: { ...m.quantization, ranges: {} } }));
    await reject('EM1401', /ranges has no number for residual/, {});
    t.same(leftovers(), []);
  });
});

t.test('logits arrive in pieces of any size', async (t) => {
  const bytes = new Uint8Array(Int32Array.from({ length: 35 }, (_, i) => i * -123456789).buffer);
  for (const size of [1, 3, 19, 20, 27, 140]) {
    const positions: number[][] = [];
    const stream = new LogitsStream(5, (logits) => positions.push([...logits]));
    for (let at = 0; at < 130; at += size) stream.push(bytes.subarray(at, Math.min(130, at + size)));
    t.equal(positions.length, 6);
    t.same(positions.flat(), [...new Int32Array(bytes.buffer, 0, 30)]);
    t.equal(stream.pending, 10);
  }
});

t.test('windows do not overlap, and only a text shorter than one makes one of its own', async (t) => {
  const text = readIds(writeIds('cut.u16', 100), VOCABULARY);
  const cut = (window: number, limit: number | null) => {
    const { ids, ...rest } = cutWindows(text, window, limit);
    t.same(ids, text.ids.subarray(0, ids.length));
    return { ids: ids.length, ...rest };
  };
  t.same(cut(32, null), { ids: 96, window: 32, left: 4 });
  t.same(cut(50, null), { ids: 100, window: 50, left: 0 });
  t.same(cut(32, 70), { ids: 64, window: 32, left: 6 });
  t.same(cut(32, 31), { ids: 31, window: 31, left: 0 });
  t.same(cut(101, null), { ids: 100, window: 100, left: 0 });
});

t.test('documents of a text are encoded one by one, with the end token between', async (t) => {
  const { tokenizer } = openTokenizer(join(root, 'models', 'os-nano'), 4096);
  const path = join(folder, 'documents.txt');
  const idsOf = (text: string, eosIds: number[]) => {
    writeFileSync(path, text);
    return [...readText(path, tokenizer!, eosIds).ids];
  };
  const [first, second] = ['ls lists files\n', 'is <|endoftext|> text'].map((text) => idsOf(text, []));
  const trimmed = idsOf('ls lists files', []);
  t.same(idsOf('ls lists files\n<|endoftext|>\nis <|endoftext|> text', [0]), [...trimmed, 0, ...second!]);
  t.same(idsOf('ls lists files\r\n\r\n<|endoftext|>\r\nis <|endoftext|> text', []), [...trimmed, ...second!]);
  t.same(idsOf('ls lists files\n', [0]), first);
  t.same(idsOf('<|endoftext|>\nls lists files\n<|endoftext|>\n', [0]), [0, ...trimmed, 0]);
});

const corpus = join(shared, 'corpora', 'os_validation.txt');
t.test('the ids of a validation corpus', { skip: !existsSync(corpus) && 'no ../shared' }, async (t) => {
  const folder = join(shared, 'models', 'os-nano');
  const { tokenizer } = openTokenizer(folder, 4096);
  const { ids } = readText(corpus, tokenizer!, [0]);
  const published = readIds(join(folder, 'val_ids.u16'), 4096).ids;
  t.same(ids.subarray(0, published.length), published);
});
