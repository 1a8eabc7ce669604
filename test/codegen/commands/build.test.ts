/** The commands that build and run, as a user types them, on tiny checkpoints and with real compilers. */
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Manifest } from '../../../codegen/bundle/manifest.js';
import { openModelSource } from '../../../codegen/checkpoint/model-source.js';
import { plannedBlob } from '../../../codegen/commands/inspect/planned-blob.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { kernelSetOf } from '../../../codegen/layout/kernel-set.js';
import { compileTokenizer } from '../../../codegen/tokenizer/compile-tokenizer.js';
import { targets } from '../../../targets/index.js';
import {
  cannotRun,
  mixedPlans,
  temporaryFolder,
  tinyModels,
  writeCheckpoint,
} from '../../end-to-end/tiny-bundles.js';
import { encodeFloats, type WrittenTensor } from '../checkpoint/safetensors-writer.js';
import { tinyShapes, writeTinyModel } from '../checkpoint/tiny-model.js';
import { embedModel } from './embed-model.js';

// The first target whose programs this machine compiles and runs.
const skips = await Promise.all(targets.map((target) => cannotRun(target)));
const found = targets.findIndex((_, i) => skips[i] === false);
const skip = found < 0 && `no target: ${skips.join('; ')}`;
const target = targets[Math.max(0, found)].name;

t.setTimeout(180_000);

const work = temporaryFolder(t);
const model = writeCheckpoint(tinyModels[3], join(work, 'model'));
const bundle = join(work, 'bundle');
const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
const common = ['--target', target, '--model', model];

t.test('build: a summary for people, a record for programs', { skip }, async (t) => {
  const { code, stdout, stderr } = await embedModel(
    [...common, '--out', 'bundle', '--prompt', 'the wind', '--tokens', '9'],
    {
      cwd: work,
    },
  );
  t.equal(code, 0, stderr);
  t.match(stdout, /^model +model \(MistralForCausalLM, [\d,]+ parameters\)$/m);
  t.match(stdout, /^quantization +int8, \d+\.\d\d bits per weight/m);
  t.match(stdout, /^memory +weights .*, KV cache .*, activations .*, stack /m);
  t.match(stdout, /^logits +digest [0-9a-f]{16}, equal to the golden one$/m);
  t.match(stdout, /^bundle +\.\/bundle$/m);
  for (const stage of ['calibrate', 'quantize', 'emit', 'compile'])
    t.match(stderr, new RegExp(`^${stage}: `, 'm'));
  t.match(json(join(bundle, 'report', 'result.json')), {
    output: { prompt: 'the wind', matchesGolden: true },
  });
});

t.test('build --json --quiet: one document, and not a word', { skip }, async (t) => {
  const out = join(work, 'mixed');
  const planFile = join(work, 'plan.json');
  writeFileSync(planFile, JSON.stringify(mixedPlans[0]));
  const options = ['--out', out, '--quantize', planFile, '--no-run', '--context', '100', '--json', '--quiet'];
  const { code, stdout, stderr } = await embedModel([...common, ...options]);
  t.equal(code, 0, stderr);
  t.equal(stderr, '');
  const result = JSON.parse(stdout);
  t.same(result, json(join(out, 'report', 'result.json')));
  t.match(result, {
    board: { transport: null },
    speed: { tokensPerSecond: { median: null } },
    quantization: { name: 'mixed-a' },
  });
});

t.test('inspect foretells the size of a blob to the byte', { skip }, async (t) => {
  const source = openModelSource(model);
  t.teardown(() => source.checkpoint.close());
  const tokenizerBytes = compileTokenizer(source.tokenizer!).length;
  for (const name of ['bundle', 'mixed']) {
    const { plan, context, memory, quantization, targetSpec }: Manifest = json(
      join(work, name, 'manifest.json'),
    );
    const graph = buildGraph(source.checkpoint, context);
    t.same(plannedBlob(graph, plan, kernelSetOf(targetSpec.kernelSet), tokenizerBytes), {
      plan: plan.name,
      kernelSet: targetSpec.kernelSet,
      weightsBytes: memory.weightsBytes,
      bitsPerWeight: quantization.bitsPerWeight,
      blobBytes: memory.blobBytes,
    });
  }
});

t.test('run: text as it comes, or the record', { skip }, async (t) => {
  const options = [
    'run',
    bundle,
    '--prompt',
    'the wind',
    '--tokens',
    '20',
    '--temperature',
    '0.9',
    '--seed',
    '18446744073709551615',
  ];
  const streamed = await embedModel(options);
  t.equal(streamed.code, 0, streamed.stderr);
  t.match(streamed.stderr, /^speed +prompt \d+ tokens at /m);
  const recorded = await embedModel([...options, '--json', '--chunk', '3', '--threads', '2']);
  const { output, speed } = JSON.parse(recorded.stdout);
  t.equal(streamed.stdout, `${output.text}\n`, 'the same text, whatever chunk and threads');
  t.equal(speed.threads, 2);
  const again = await embedModel([
    'run',
    bundle,
    '--ids',
    output.promptIds.join(','),
    '--tokens',
    '0',
    '--json',
  ]);
  t.same(JSON.parse(again.stdout).output.promptIds, output.promptIds);
});

t.test('what the program refuses is bad input', { skip }, async (t) => {
  t.match(await embedModel(['run', bundle, '--ids', '123456']), {
    code: 2,
    stderr: /EM3206[\s\S]*vocabulary/,
  });
  t.match(await embedModel(['run', bundle, '--prompt', 'a', '--tokens', '100000']), {
    code: 2,
    stderr: /error EM/,
  });
});

t.test('verify and inspect of a bundle', { skip }, async (t) => {
  const verified = await embedModel(['verify', bundle, '--layers', '--json', '--quiet']);
  t.equal(verified.code, 0, verified.stderr);
  t.match(JSON.parse(verified.stdout), { matches: true, layers: { firstDifference: null } });
  const { code, stdout } = await embedModel(['inspect', bundle]);
  t.equal(code, 0);
  t.match(stdout, /all as they were built/);
  t.match(stdout, /^w8 +16 .*layers\.\*\.attn\.q/m);
  t.same(await embedModel(['inspect', join(bundle, 'manifest.json')]), { code: 0, stdout, stderr: '' });
  t.match(await embedModel(['inspect', join(bundle, 'report', 'result.json')]), {
    code: 0,
    stdout: /^result\n\nmodel /,
  });
});

t.test('a bundle whose golden logits are not met: exit code 1', { skip }, async (t) => {
  const changed = join(work, 'changed');
  cpSync(bundle, changed, { recursive: true });
  const manifest = json(join(bundle, 'manifest.json'));
  const golden = { ...manifest.golden[0], logitsDigest: '0123456789abcdef' };
  writeFileSync(join(changed, 'manifest.json'), JSON.stringify({ ...manifest, golden: [golden] }));
  const tokens = `${golden.tokenIds.length}`;
  const run = await embedModel([
    'run',
    changed,
    '--ids',
    golden.promptIds.join(','),
    '--tokens',
    tokens,
    '--json',
  ]);
  t.equal(run.code, 1);
  t.equal(JSON.parse(run.stdout).output.matchesGolden, false);
  t.match(await embedModel(['verify', changed]), { code: 1, stdout: /NOT 0123456789abcdef/ });
});

t.test('a bundle with a changed file', { skip }, async (t) => {
  const changed = join(work, 'changed');
  cpSync(bundle, changed, { recursive: true });
  writeFileSync(join(changed, 'src', 'model.c'), 'int x;\n');
  const { code, stdout, stderr } = await embedModel(['inspect', changed]);
  t.equal(code, 2);
  t.match(stdout, /^files +src\/model\.c was changed$/m);
  t.equal(stderr, 'DAMAGED: src/model.c was changed\n');
});

t.test('eval: the report, and where it goes', { skip }, async (t) => {
  const ids = join(work, 'text.u16');
  writeFileSync(
    ids,
    Uint16Array.from({ length: 96 }, (_, i) => 3 + ((i * 37) % 256)),
  );
  const { code, stdout, stderr } = await embedModel([
    'eval',
    bundle,
    '--ids',
    ids,
    '--window',
    '32',
    '--json',
  ]);
  t.equal(code, 0, stderr);
  const report = JSON.parse(stdout);
  t.match(report, { windows: 3, window: 32, accepted: null, threshold: 0.02 });
  t.same(report, json(join(bundle, 'report', 'validation_report.json')));
  t.match(await embedModel(['eval', bundle]), { code: 2, stderr: /EM1210/ });
  t.match(await embedModel(['eval', bundle, '--ids', ids, '--text', ids]), { code: 2, stderr: /EM1208/ });
});

t.test('builds that are refused leave nothing behind', async (t) => {
  const cwd = t.testdir({ taken: { 'letter.txt': 'dear' }, 'empty.u16': '' });
  const before = readdirSync(cwd);
  for (const { options, error } of [
    { options: ['--context', '161'], error: /EM1207[\s\S]*161 positions.*160/ },
    { options: ['--out', 'taken'], error: /EM1302[\s\S]*letter\.txt/ },
    { options: ['--prompt', 'a'.repeat(400)], error: /EM1204/ },
    { options: ['--calibration', 'empty.u16'], error: /EM2005[\s\S]*it is empty/ },
    { options: ['--quantize', 'int9'], error: /EM1202/ },
    { options: ['--static-range', 'kl'], error: /EM1202[\s\S]*these are dynamic/ },
    { options: ['--search', 'anneal'], error: /EM1202[\s\S]*greedy, evolve/ },
    { options: ['--search', 'evolve', '--generations', '0'], error: /EM1202[\s\S]*from 1 to 1000/ },
    { options: ['--generations', '3'], error: /EM1202[\s\S]*add --search evolve/ },
    { options: ['--search', 'evolve', '--method', 'nearest'], error: /EM1208[\s\S]*exclude each other/ },
    { options: ['--quantize', 'auto', '--method', 'awq'], error: /EM1208[\s\S]*exclude each other/ },
    { options: ['--method', 'rtn'], error: /EM1202[\s\S]*gptq, awq\+gptq, awq, nearest, auto/ },
    { options: ['--quantize', 'int4', '--search', 'evolve'], error: /EM1208[\s\S]*exclude each other/ },
    { options: ['--toolchain', 'tcc'], error: /EM1202[\s\S]*tcc/ },
    { options: ['--model', 'none'], error: /EM1001/ },
  ]) {
    const given = options[0] === '--model' ? ['--target', target] : common;
    const { code, stdout, stderr } = await embedModel([...given, ...options, '--no-run'], { cwd });
    t.equal(code, 2, options.join(' ').slice(0, 40));
    t.match(stderr, error);
    t.equal(stdout, '');
    t.same(readdirSync(cwd), before);
  }
});

t.test('checkpoints that read well and cannot be built', async (t) => {
  const folder = t.testdir();
  const refused = async (name: string, pattern: RegExp, ...more: string[]) => {
    const options = ['--model', name, '--target', target, '--no-run', ...more];
    t.match(await embedModel(options, { cwd: folder }), { code: 2, stdout: '', stderr: pattern });
    t.notOk(existsSync(join(folder, `${name}-${target}`)));
  };

  const wide = writeCheckpoint(tinyModels[6], join(folder, 'wide'));
  const tokenizer = json(join(wide, 'tokenizer.json'));
  const { vocab } = tokenizer.model;
  vocab['a'.repeat(1100)] = Object.keys(vocab).length;
  writeFileSync(join(wide, 'tokenizer.json'), JSON.stringify(tokenizer));
  await refused('wide', /EM1113[\s\S]*bytes of text/);

  const shape = tinyShapes['model.layers.0.mlp.up_proj.weight'];
  // Rows of both signs: a gate far below zero closes, one far above lets an infinite product through.
  const huge = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) =>
    i % (2 * shape[1]) < shape[1] ? 1e30 : -1e30,
  );
  const tensor: WrittenTensor = { dtype: 'F32', shape, data: encodeFloats('F32', huge) };
  const names = ['up', 'gate'].map((name) => `model.layers.0.mlp.${name}_proj.weight`);
  writeTinyModel(join(folder, 'huge'), { tensors: Object.fromEntries(names.map((name) => [name, tensor])) });
  await refused('huge', /EM1101[\s\S]*--no-tokenizer/);
  await refused('huge', /EM2004/, '--no-tokenizer');
});
