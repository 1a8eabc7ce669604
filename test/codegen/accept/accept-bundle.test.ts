/** Acceptance of small bundles on this machine, against other implementations of what it does. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type AcceptOptions, acceptBundle } from '../../../codegen/accept/accept-bundle.js';
import { acceptanceFiles } from '../../../codegen/accept/acceptance-files.js';
import { readPrompts, takePrompts } from '../../../codegen/accept/acceptance-prompts.js';
import { continueGreedily, firstChoices } from '../../../codegen/accept/float-continuation.js';
import { sideBySide } from '../../../codegen/accept/output-comparison.js';
import { planAcceptance } from '../../../codegen/accept/plan-acceptance.js';
import { readTask } from '../../../codegen/accept/task-benchmark.js';
import type { Manifest } from '../../../codegen/bundle/manifest.js';
import type { QuantizationSummary } from '../../../codegen/bundle/quantization-summary.js';
import { FloatEvaluator } from '../../../codegen/calibrate/float-evaluator.js';
import { checkpointWeights } from '../../../codegen/calibrate/float-weights.js';
import { PlainLinearAlgebra } from '../../../codegen/calibrate/linear-algebra-plain.js';
import { type ModelSource, openModelSource } from '../../../codegen/checkpoint/model-source.js';
import { goldenRun, greedySampling } from '../../../codegen/evaluate/golden-run.js';
import { hostTarget } from '../../../codegen/evaluate/host-target.js';
import { readReference } from '../../../codegen/evaluate/reference-model.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { decodeTokens } from '../../../codegen/tokenizer/decode-tokens.js';
import { buildBundle, temporaryFolder, tinyModels, writeCheckpoint } from '../../end-to-end/tiny-bundles.js';
import { expectError } from '../checkpoint/expect-error.js';
import { quietContext } from '../evaluate/tiny-bundle.js';
import { foreign, obstacle, uncompiled } from './host-obstacles.js';

const CONTEXT = 64;
t.setTimeout(300_000);

const folder = temporaryFolder(t);
const temporary = join(folder, 'tmp');
mkdirSync(temporary);
process.env.TMPDIR = temporary;
const leftovers = () => readdirSync(temporary).filter((name) => !name.startsWith('v8-compile-cache'));

const model = writeCheckpoint(tinyModels[3]!, join(folder, 'model'));
const source = openModelSource(model);
const tokenizer = source.tokenizer!;
t.teardown(() => source.checkpoint.close());

/** Another linear algebra than the one that is tested. */
function floatModel({ checkpoint }: ModelSource): FloatEvaluator {
  const graph = buildGraph(checkpoint, CONTEXT);
  return new FloatEvaluator(graph, checkpointWeights(checkpoint, graph), new PlainLinearAlgebra());
}

const { signal } = new AbortController();
const words = ['the wind', 'heron', 'in the water', 'reeds of', 'their', 'a bird'];
const text = Array.from({ length: 300 }, (_, i) => words[(i * i + (i >> 2)) % words.length]).join(' ');
const textPath = join(folder, 'text.txt');
writeFileSync(textPath, text);

const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

t.test('greedy continuations are the first choices behind what they are made of', async (t) => {
  const evaluator = floatModel(source);
  const prompt = [1, 5, 9, 200];
  const ids = await continueGreedily(evaluator, prompt, 30, [], signal);
  t.equal(ids.length, 30);
  evaluator.reset();
  const known = [...prompt, ...ids.slice(0, -1)];
  t.same(await firstChoices(evaluator, known, prompt.length - 1, signal), ids);
  const end = ids[7]!;
  const ended = await continueGreedily(evaluator, prompt, 30, [end], signal);
  t.same(ended, ids.slice(0, ids.indexOf(end) + 1), 'the token that ends a text is listed');
  t.same(await continueGreedily(evaluator, prompt, 0, [], signal), []);
  const stopped = new AbortController();
  stopped.abort();
  await t.rejects(continueGreedily(evaluator, prompt, 30, [], stopped.signal), { name: 'AbortError' });
});

t.test('prompts of a file, and of windows', async (t) => {
  const prompts = readPrompts(file('prompts.txt', 'the wind\r\n\n  \nin the reeds\n'), tokenizer, CONTEXT);
  t.same(
    prompts.map(({ text }) => text),
    ['the wind', 'in the reeds'],
  );
  t.equal(prompts[0]!.ids[0], 1, 'begun as the tokenizer says');
  t.equal(decodeTokens(tokenizer, prompts[1]!.ids), 'in the reeds');
  const refused = (pattern: RegExp, content: string) =>
    expectError(t, 'EM2020', pattern, () => readPrompts(file('bad.txt', content), tokenizer, 16));
  refused(/no prompt/, '\n \n');
  refused(/line 2 has \d+ tokens, the context 16/, `a\n${'the heron '.repeat(20)}\n`);
  refused(/1001 prompts/, 'a\n'.repeat(1001));
  expectError(t, 'EM2020', /no such file/, () => readPrompts(join(folder, 'none'), tokenizer, 16));
  expectError(t, 'EM2020', /without a tokenizer/, () => readPrompts(textPath, null, 16));

  for (const [windows, window] of [
    [200, 40],
    [32, 256],
    [45, 64],
  ] as const) {
    const ids = Int32Array.from({ length: windows * window }, (_, i) => i);
    const { prompts: taken, further } = takePrompts({ ids, window, left: 0 }, null);
    t.equal(taken.length, 32);
    t.same(taken[0], { text: null, ids: [...ids.subarray(0, 16)] });
    const last = Math.floor((31 * windows) / 32) * window;
    t.same(taken[31]!.ids, [...ids.subarray(last, last + 16)], 'spread over the whole text');
    t.equal(further.length, 96);
    const all = [...taken, ...further].flatMap((prompt) => prompt.ids);
    t.same([all.length, new Set(all).size], [128 * 16, 128 * 16], 'none overlaps another');
  }
  const ids = new Int32Array(30);
  const few = takePrompts({ ids, window: 10, left: 0 }, null);
  t.same(
    few.prompts.map(({ ids }) => ids.length),
    [5, 5, 5],
  );
  t.same(few.further, []);
});

t.test('a task benchmark', async (t) => {
  const line = (prompt: unknown, completion: unknown) => JSON.stringify({ prompt, completion });
  const read = (content: string, context = CONTEXT) =>
    readTask(file('task.jsonl', content), tokenizer, context);
  const [item, second] = read(`${line('in', ' the')}\n\n${line('the win', 'd')}\r\n`);
  t.equal(decodeTokens(tokenizer, [...item!.prompt, ...item!.completion]), 'in the');
  t.equal(item!.completion.length, 1, 'a token that spans both would not be found by encoding each alone');
  t.same(decodeTokens(tokenizer, [...second!.prompt, ...second!.completion]), 'the wind');
  const refused = (pattern: RegExp, content: string, context = CONTEXT) =>
    expectError(t, 'EM2021', pattern, () => read(content, context));
  refused(/task\.jsonl:2: not JSON/, `${line('a', 'b')}\n{"prompt": \n`);
  refused(/task\.jsonl:1: prompt and completion must be strings/, line('a', 3));
  refused(/task\.jsonl:1: the completion adds no token/, line('a', ''));
  refused(/no item/, '\n');
  refused(/line 1 has \d+ tokens, the context 8/, line('the heron is in', ' the water'), 8);
  refused(/20001 items/, `${line('a', 'b')}\n`.repeat(20_001));
  expectError(t, 'EM2021', /no such file/, () => readTask(join(folder, 'none'), tokenizer, 16));
  expectError(t, 'EM2021', /without a tokenizer/, () => readTask(textPath, null, 16));
});

const defaults: AcceptOptions = {
  ...{ text: textPath, ids: null, model: null, window: 32, limit: null, threshold: 0.02, integerCost: false },
  ...{ prompts: null, task: null, tokens: 12 },
};

/** Greedy continuation by the integer reference. */
async function integerContinuation(bundle: string, manifest: Manifest, promptIds: readonly number[]) {
  const { model } = await readReference(bundle, manifest, source, quietContext());
  return (tokens: number, eosIds: readonly number[]) =>
    goldenRun(model, null, promptIds, tokens, greedySampling, eosIds).tokenIds;
}

t.test('a bundle for this machine', { skip: obstacle }, async (t) => {
  const bundle = join(folder, 'bundle');
  const target = await hostTarget();
  const { manifest } = await buildBundle({ target, model, out: bundle, context: CONTEXT, run: false });
  const prompts = file('wind.txt', words.map((word, i) => `${word} ${words[(i + 1) % 6]}`).join('\n'));
  const context = quietContext();
  const { report, acceptance, comparison } = await acceptBundle(bundle, { ...defaults, prompts }, context);

  t.same(
    acceptance.gates.map(({ name }) => name),
    ['loss', 'speed', 'size', 'repetition'],
  );
  t.match(acceptance, { schemaVersion: 1, target: manifest.target, build: manifest.build, plan: 'int8' });
  const [loss, speed, size, repetition] = acceptance.gates;
  t.equal(loss!.passed, report.accepted);
  t.equal(speed!.found, report.speedAgainst16Bit, 'measured');
  t.ok(speed!.found! > 0.05 && speed!.figures.lower95! <= speed!.figures.upper95!, speed!.text);
  t.equal(size!.found, 1 / report.sizeAgainst16Bit!);
  t.match(repetition, { passed: null, figures: { prompts: 6 } });
  t.equal(
    acceptance.accepted,
    acceptance.gates.some(({ passed }) => passed === false) ? false : report.accepted,
  );

  const evaluator = floatModel(source);
  const { eosIds } = source.checkpoint.config;
  for (const { prompt, float, quantized, equalTokens } of comparison.outputs) {
    t.same(float.ids, await continueGreedily(evaluator, prompt.ids, 12, eosIds, signal));
    const integers = await integerContinuation(bundle, manifest, prompt.ids);
    t.same(quantized.ids, integers(12, eosIds), 'em-run went on as the integer reference does');
    t.equal(float.text, decodeTokens(tokenizer, float.ids));
    t.same(float.ids.slice(0, equalTokens), quantized.ids.slice(0, equalTokens));
    t.not(float.ids[equalTokens] ?? -1, quantized.ids[equalTokens] ?? -2);
  }

  const written = (name: string) => readFileSync(join(bundle, 'report', name), 'utf8');
  t.same(JSON.parse(written('acceptance.json')), acceptance);
  t.same(JSON.parse(written('compare_outputs.json')), comparison);
  t.same(JSON.parse(written('validation_report.json')), report);
  t.equal(written('compare_outputs.txt'), sideBySide(comparison));
  t.same(
    readdirSync(join(bundle, 'report')).sort(),
    [...acceptanceFiles, 'quantization_summary.json', 'result.json'].sort(),
  );
  t.same(leftovers(), [], 'no build is left');

  const { tensors, variants, method } = JSON.parse(
    written('quantization_summary.json'),
  ) as QuantizationSummary;
  t.same(
    tensors.map(({ name, bytes }) => [name, bytes]),
    manifest.tensors.map(({ name, bytes }) => [name, bytes]),
  );
  for (const { name, sqnrDb, outputError } of tensors) {
    t.ok(sqnrDb! > 30 && sqnrDb! < 60, `${name}: ${sqnrDb} dB with 8 bits`);
    t.ok(name === 'embed' ? outputError === null : outputError! > 0 && outputError! < 0.03, `${outputError}`);
  }
  t.match(variants, [{ name: 'int8', method, chosen: true, float: null }]);

  await t.test('files that cannot be used are refused before anything is evaluated', async (t) => {
    const begun: string[] = [];
    const quiet = quietContext();
    const progress = { ...quiet.progress, begin: (stage: string) => begun.push(stage) };
    for (const change of [{ prompts: join(folder, 'none') }, { task: join(folder, 'none') }]) {
      const expected = { code: 'prompts' in change ? 'EM2020' : 'EM2021' };
      await t.rejects(acceptBundle(bundle, { ...defaults, ...change }, { ...quiet, progress }), expected);
      await t.rejects(planAcceptance(bundle, { ...defaults, ...change }, quiet), expected);
    }
    t.same(begun, []);
  });

  const planned = await planAcceptance(bundle, defaults, context);
  t.same(
    planned.files.map(({ path }) => path),
    acceptanceFiles.map((name) => join(bundle, 'report', name)),
  );
  const links = planned.commands.filter(({ command }) => command.join(' ').endsWith('bin/em-run'));
  t.equal(links.length, 2, 'one build more, with 16-bit weights');

  await t.test('a task is solved by the model that gives the completion', async (t) => {
    const items: string[] = [];
    for (let i = 0; i < 50; i++) {
      const prompt = `${words[i % 6]} ${words[(i * 7 + 3) % 6]}`.slice(0, 4 + (i % 9));
      const { ids } = readPrompts(file('one.txt', prompt), tokenizer, CONTEXT)[0]!;
      const [next] = await continueGreedily(evaluator, ids, 1, [], signal);
      const answer = decodeTokens(tokenizer, [...ids, next!]).slice(prompt.length);
      items.push(JSON.stringify({ prompt, completion: answer === '' ? ' the' : answer }));
    }
    const task = file('facts.jsonl', items.join('\n'));
    const accepted = await acceptBundle(bundle, { ...defaults, prompts, task }, quietContext());
    const gate = accepted.acceptance.gates.find(({ name }) => name === 'task')!;
    let float = 0;
    let quantized = 0;
    for (const { prompt, completion } of readTask(task, tokenizer, CONTEXT)) {
      const ids = await continueGreedily(evaluator, prompt, completion.length, [], signal);
      if (ids.join() === completion.join()) float++;
      const integers = await integerContinuation(bundle, manifest, prompt);
      if (integers(completion.length, []).join() === completion.join()) quantized++;
    }
    t.ok(float > 0, `${float} of 50 solved in float`);
    t.match(gate.figures, { items: 50, float: float / 50, quantized: quantized / 50 });
    t.equal(gate.passed, 2 * (float - quantized) < 2);
  });
});

t.test('a bundle for another machine: its speed is not judged', { skip: uncompiled }, async (t) => {
  const out = join(folder, 'foreign');
  await buildBundle({ target: foreign, model, out, context: CONTEXT, run: false });
  const { report, acceptance } = await acceptBundle(out, { ...defaults, limit: 400 }, quietContext());
  t.match(acceptance.gates[1], {
    name: 'speed',
    passed: null,
    found: null,
    text: /does not run on this machine/,
  });
  t.equal(report.speedAgainst16Bit, null);
  const planned = await planAcceptance(out, defaults, quietContext());
  t.match(planned.notes.join('\n'), /Speed is not judged/);
  t.same(leftovers(), []);
});
