/** Builds that judge every gate, on checkpoints of this machine's own making. */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { acceptanceFiles } from '../../../codegen/accept/acceptance-files.js';
import { takePrompts } from '../../../codegen/accept/acceptance-prompts.js';
import { continueGreedily } from '../../../codegen/accept/float-continuation.js';
import type { Gate, GateName } from '../../../codegen/accept/gates.js';
import { ngramRepetition } from '../../../codegen/accept/ngram-repetition.js';
import { certificationHalf } from '../../../codegen/allocate/auto-texts.js';
import { CONTINUATION_TOKENS } from '../../../codegen/build-options.js';
import type { Manifest } from '../../../codegen/bundle/manifest.js';
import { FloatEvaluator } from '../../../codegen/calibrate/float-evaluator.js';
import { checkpointWeights } from '../../../codegen/calibrate/float-weights.js';
import { createLinearAlgebra } from '../../../codegen/calibrate/linear-algebra.js';
import { openModelSource } from '../../../codegen/checkpoint/model-source.js';
import { findProgram } from '../../../codegen/compile/find-program.js';
import { readText } from '../../../codegen/evaluate/evaluation-text.js';
import { goldenRun, greedySampling } from '../../../codegen/evaluate/golden-run.js';
import { hostTarget } from '../../../codegen/evaluate/host-target.js';
import { readReference } from '../../../codegen/evaluate/reference-model.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { namedPlans } from '../../../codegen/quantize/plan.js';
import { decodeTokens } from '../../../codegen/tokenizer/decode-tokens.js';
import { encodeText } from '../../../codegen/tokenizer/encode-text.js';
import {
  buildBundle,
  embedModel,
  temporaryFolder,
  tinyModels,
  writeCheckpoint,
} from '../../end-to-end/tiny-bundles.js';
import { quietContext } from '../evaluate/tiny-bundle.js';
import { foreign, obstacle, uncompiled } from './host-obstacles.js';

t.setTimeout(600_000);

const folder = temporaryFolder(t);
const temporary = join(folder, 'tmp');
mkdirSync(temporary);
process.env.TMPDIR = temporary;
const leftovers = () => readdirSync(temporary).filter((name) => !name.startsWith('v8-compile-cache'));
const file = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

const CONTEXT = 64;
const model = writeCheckpoint(tinyModels[3]!, join(folder, 'model'));
const source = openModelSource(model);
const tokenizer = source.tokenizer!;
t.teardown(() => source.checkpoint.close());
const words = ['the wind', 'heron', 'in the water', 'reeds of', 'their', 'a bird'];
const validation = file(
  'held-out.txt',
  Array.from({ length: 1200 }, (_, i) => words[(i * i + (i >> 2)) % words.length]).join(' '),
);

const { signal } = new AbortController();
const read = (bundle: string, name: string) => JSON.parse(readFileSync(join(bundle, 'report', name), 'utf8'));
const gateOf = (gates: readonly Gate[], name: GateName) => gates.find((gate) => gate.name === name)!;
const fell = (gates: readonly Gate[]) => gates.some(({ passed }) => passed === false);

/** Continuations of the checkpoint, and of the integers of a bundle by the reference in TypeScript. */
async function continuations(bundle: string, manifest: Manifest) {
  const graph = buildGraph(source.checkpoint, CONTEXT);
  const float = new FloatEvaluator(graph, checkpointWeights(source.checkpoint, graph), createLinearAlgebra());
  const { model } = await readReference(bundle, manifest, source, quietContext());
  return {
    float: (ids: readonly number[], tokens: number) => continueGreedily(float, ids, tokens, [], signal),
    integers: (ids: readonly number[], tokens: number) =>
      goldenRun(model, null, ids, tokens, greedySampling, []).tokenIds,
  };
}

t.test('a build that judges every gate', { skip: obstacle }, async (t) => {
  const target = await hostTarget();
  const request = {
    target,
    model,
    plan: namedPlans.int4!,
    validation,
    context: CONTEXT,
    tokens: 4,
    run: true,
  };
  const out = join(folder, 'bundle');
  const acceptance = { prompts: null, task: null };
  const built = await buildBundle({ ...request, out, acceptance });
  const { gates, accepted } = built.acceptance!;
  t.same(
    gates.map(({ name }) => name),
    ['loss', 'speed', 'size', 'repetition'],
  );
  t.match(gateOf(gates, 'loss'), {
    passed: built.manifest.quantization.certification!.lnRatio.upper95! < 0.0198,
  });
  t.match(gateOf(gates, 'size'), { passed: false }, 'rows of 48 columns take two groups of 32');
  t.equal(accepted, false);
  t.equal(built.result.quantization.accepted, false, 'the loss alone does not accept it');
  t.equal(built.manifest.quantization.accepted, false);
  t.same(read(out, 'acceptance.json'), built.acceptance);
  for (const name of acceptanceFiles) t.ok(readdirSync(join(out, 'report')).includes(name), name);
  const report = read(out, 'validation_report.json');
  t.equal(report.speedAgainst16Bit, gateOf(gates, 'speed').found, 'measured');
  t.ok(report.speedAgainst16Bit > 0.05);
  t.equal(1 / report.sizeAgainst16Bit, gateOf(gates, 'size').found);

  const { outputs, tokens } = read(out, 'compare_outputs.json');
  const text = readText(validation, tokenizer, source.checkpoint.config.eosIds);
  const { windows } = certificationHalf(buildGraph(source.checkpoint, CONTEXT), text);
  t.same(
    outputs.map(({ prompt }: { prompt: unknown }) => prompt),
    takePrompts(windows, tokenizer).prompts,
    'of the text that certifies',
  );
  t.equal(tokens, CONTINUATION_TOKENS);
  const models = await continuations(out, built.manifest);
  for (const { prompt, float, quantized } of outputs.slice(0, 4)) {
    t.same(float.ids, (await models.float(prompt.ids, 48)).slice(0, float.ids.length));
    t.same(quantized.ids, models.integers(prompt.ids, 48).slice(0, quantized.ids.length));
  }
  t.same(leftovers(), [], 'the build with 16-bit weights is gone');

  await t.test('repetition and task fall where the integers do worse', async (t) => {
    const candidates = words.flatMap((a) =>
      words.flatMap((b) => [...'abcdefghi'].map((c) => `${a} ${b} ${c}`)),
    );
    const compared: { prompt: string; float: readonly number[]; worse: number }[] = [];
    for (const prompt of candidates) {
      const ids = [...encodeText(tokenizer, prompt, { bos: true })];
      const tokens = Math.min(CONTINUATION_TOKENS, CONTEXT - ids.length);
      const float = await models.float(ids, tokens);
      const worse = ngramRepetition(models.integers(ids, tokens), 4) - ngramRepetition(float, 4);
      compared.push({ prompt, float, worse });
    }
    const worst = compared.sort((a, b) => b.worse - a.worse).slice(0, 8);
    t.ok(
      worst.every(({ worse }) => worse > 0),
      'int4 repeats itself more behind some of them',
    );
    const prompts = file('prompts.txt', worst.map(({ prompt }) => prompt).join('\n'));
    const items = compared.flatMap(({ prompt, float }) => {
      const begin = [...encodeText(tokenizer, prompt, { bos: true })];
      const whole = [...begin, ...float.slice(0, 2)];
      const text = decodeTokens(tokenizer, whole);
      const isText = encodeText(tokenizer, text, { bos: true }).join() === whole.join(); // and no bytes of none
      return isText ? [JSON.stringify({ prompt, completion: text.slice(prompt.length) })] : [];
    });
    const task = file('task.jsonl', Array.from({ length: 50 }, (_, i) => items[i % items.length]).join('\n'));
    const judged = await buildBundle({
      ...request,
      out: join(folder, 'worse'),
      acceptance: { prompts, task },
    });
    const repetition = gateOf(judged.acceptance!.gates, 'repetition');
    t.match(repetition, { passed: false, figures: { prompts: 8 } }, repetition.text);
    const solved = gateOf(judged.acceptance!.gates, 'task');
    t.ok(solved.figures.float! > 0.5, solved.text);
    t.equal(solved.passed, false, solved.text);
  });

  await t.test('more prompts have their say before repetition falls', async (t) => {
    const found: { ids: number[]; worse: number }[] = [];
    for (let i = 0; i < 200; i++) {
      const ids = Array.from({ length: 16 }, (_, k) => 3 + ((i * 37 + k * k * (i + 11)) % 250));
      const worse =
        ngramRepetition(models.integers(ids, 48), 4) - ngramRepetition(await models.float(ids, 48), 4);
      found.push({ ids, worse });
    }
    found.sort((a, b) => b.worse - a.worse);
    // Windows of the half that certifies: each fourth begins with what int4 does worst behind.
    const judgeBy = async (name: string, rest: readonly { readonly ids: number[] }[]) => {
      const windows = Array.from({ length: 128 }, (_, w) => [
        ...(w % 4 === 0 ? found[w / 4]! : rest[w % rest.length]!).ids,
        ...Array<number>(CONTEXT - 16).fill(7),
      ]);
      const held = join(folder, `${name}.u16`);
      writeFileSync(held, Uint16Array.from([...Array<number>(128 * CONTEXT).fill(7), ...windows.flat()]));
      const { acceptance: judged } = await buildBundle({
        ...{ ...request, validation: held, out: join(folder, name), acceptance, run: false },
      });
      return gateOf(judged!.gates, 'repetition');
    };
    const cleared = await judgeBy('cleared', found.slice(-64));
    t.match(cleared, { passed: true, figures: { prompts: 128 } }, cleared.text);
    const worst = await judgeBy('confirmed', found.slice(0, 16));
    t.match(worst, { passed: false, figures: { prompts: 128 } }, worst.text);
  });

  await t.test('the loss falls; without a text it is open', async (t) => {
    // What the checkpoint finds likeliest can only be less likely to any other model.
    const ids: number[] = [];
    for (let i = 0; i < 70; i++) ids.push(3 + i, ...(await models.float([3 + i], CONTEXT - 1)));
    const likeliest = join(folder, 'likeliest.u16');
    writeFileSync(likeliest, Uint16Array.from(ids));
    const strictly = { ...request, validation: likeliest, maxLoss: 1e-6 };
    const strict = await buildBundle({ ...strictly, out: join(folder, 'strict'), acceptance });
    t.match(gateOf(strict.acceptance!.gates, 'loss'), { passed: false, limit: 1e-6 });
    const untested = await buildBundle({
      ...{ ...request, out: join(folder, 'untested'), acceptance, validation: null },
      ...{ plan: namedPlans.int16!, singleFile: true },
    });
    const { gates } = untested.acceptance!;
    t.match(gateOf(gates, 'loss'), { passed: null, text: /there is no --validation text/ });
    t.match(gateOf(gates, 'size'), { passed: null, text: /keeps 16\.00 bits/ });
    t.match(gateOf(gates, 'speed'), { passed: null, found: Number });
    t.not(gateOf(gates, 'repetition').passed, null, 'prompts of the calibration text');
    t.equal(untested.acceptance!.accepted, fell(gates) ? false : null);
    t.same(leftovers(), []);
  });
});

t.test('the command', { skip: obstacle }, async (t) => {
  const target = (await hostTarget()).name;
  const at = { cwd: folder, env: { TMPDIR: temporary } };
  const common = ['--target', target, '--model', model, '--quantize', 'int4', '--context', String(CONTEXT)];
  const refused = async (pattern: RegExp, ...args: string[]) =>
    t.match(await embedModel([...common, '--out', 'refused', ...args], at), { code: 2, stderr: pattern });
  await refused(/EM1208[\s\S]*--acceptance and --no-run/, '--acceptance', '--no-run');
  await refused(/EM1208[\s\S]*--task and --no-tokenizer/, '--task', 'facts.jsonl', '--no-tokenizer');
  await refused(/EM1208[\s\S]*--prompts and --no-tokenizer/, '--prompts', 'prompts.txt', '--no-tokenizer');
  await refused(/EM2020[\s\S]*no such file/, '--prompts', 'none.txt');
  await refused(/EM2021[\s\S]*no such file/, '--task', 'none.jsonl', '--dry-run');
  t.notOk(readdirSync(folder).includes('refused'));

  const judged = [...common, '--validation', validation, '--acceptance', '--out', 'judged'];
  const { code, stdout, stderr } = await embedModel(judged, at);
  t.equal(code, 1, stderr);
  t.match(stdout, /^size +FAILED +\d\.\d\d times smaller/m);
  t.match(stdout, /^accepted +NO: a gate failed$/m);
  t.match(stderr, /^warning: size: narrow matrices/m);
  t.match(stderr, /^compare outputs: \d+ prompts/m);
  t.match(await embedModel(['inspect', join(folder, 'judged', 'report', 'acceptance.json')], at), {
    code: 0,
  });
  t.match(await embedModel(['report', 'judged', '--html', 'page.html'], at), {
    code: 1,
    stdout: /size +FAILED/,
  });
  t.match(readFileSync(join(folder, 'page.html'), 'utf8'), /not accepted/);
  const deployed = await embedModel(['deploy', 'judged', '--ssh', 'nobody@127.0.0.1:9'], at);
  t.match(deployed, { code: 1, stderr: /EM4037[\s\S]*acceptance\.json/ });

  const planned = await embedModel([...judged, '--dry-run', '--json', '--quiet'], at);
  const { files, commands } = JSON.parse(planned.stdout).dryRun;
  for (const name of acceptanceFiles)
    t.ok(
      files.some(({ path }: { path: string }) => path.endsWith(`report/${name}`)),
      name,
    );
  const links = commands.filter(({ command }: { command: string[] }) => /bin\/em-run$/.test(command.at(-1)!));
  t.equal(links.length, 2, 'the bundle and 16-bit weights');
});

t.test('interrupted while it judges', { skip: obstacle }, async (t) => {
  const target = (await hostTarget()).name;
  let sent = false;
  const args = [
    '--target',
    target,
    '--model',
    model,
    '--quantize',
    'int8',
    '--acceptance',
    '--out',
    'stopped',
  ];
  const { code } = await embedModel(args, {
    ...{ cwd: folder, env: { TMPDIR: temporary } },
    onStderr: (stderr, child) => {
      if (sent || !/^quantize: .* int16/m.test(stderr)) return; // the build with 16-bit weights begins
      sent = child.kill('SIGINT');
    },
  });
  t.equal(code, 130);
  t.notOk(
    readdirSync(folder).some((name) => name.includes('stopped')),
    'nothing half-written',
  );
  t.same(leftovers(), []);
});

t.test('another machine: what cannot be judged says why', { skip: uncompiled }, async (t) => {
  const acceptance = { prompts: null, task: null };
  const request = { target: foreign, model, validation, context: CONTEXT, acceptance };
  const built = await buildBundle({ ...request, out: join(folder, 'foreign') });
  const { gates, accepted } = built.acceptance!;
  t.match(gateOf(gates, 'speed'), { passed: null, text: /does not run on this machine/ });
  t.not(gateOf(gates, 'loss').passed, null);
  t.not(gateOf(gates, 'repetition').passed, null);
  t.equal(accepted, !fell(gates));

  const compiler = `${foreign.arch}-linux-gnu-`;
  const programs = join(folder, 'programs');
  mkdirSync(programs);
  for (const name of ['gcc', 'ar', 'gcc-ar', 'objdump'].map((tool) => compiler + tool)) {
    const path = await findProgram(name);
    if (path !== undefined) symlinkSync(path, join(programs, name));
  }
  if (!readdirSync(programs).includes(`${compiler}gcc`)) {
    t.comment(`no ${compiler}gcc: a machine without a compiler of its own is not tried`);
    return;
  }
  const args = ['--target', foreign.name, '--model', model, '--quantize', 'int8', '--validation', validation];
  const env = { PATH: programs, TMPDIR: temporary, XDG_CACHE_HOME: join(folder, 'cache') };
  const { stdout } = await embedModel([...args, '--acceptance', '--out', 'alone'], { cwd: folder, env });
  for (const gate of ['loss', 'speed', 'repetition'])
    t.match(stdout, new RegExp(`^${gate} +open +not judged: none of .*gcc`, 'm'));
  t.match(stdout, /^size +(passed|FAILED) /m);
});
