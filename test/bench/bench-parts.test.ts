/** The parts of `npm run bench` that need no tools. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openLlama2c } from '../../codegen/checkpoint/llama2c/open-llama2c.js';
import { resolvePlan } from '../../codegen/quantize/plan.js';
import { parseBandwidth } from './bandwidth/read-bandwidth.js';
import { benchHelp, measuredWords, parseBenchSettings } from './command-line.js';
import { planOf } from './formats.js';
import { functionShares } from './instructions/function-shares.js';
import type { Benchmark, Measurement } from './measurement.js';
import { programOrigin } from './program-origin.js';
import { projectRoot } from './project-root.js';
import { writeRandomCheckpoint } from './random-checkpoint.js';
import { measuredBegin, measuredEnd, replaceMeasured } from './report/document.js';
import { benchmarkMarkdown, profileMarkdown } from './report/markdown.js';
import { benchmarkPlot } from './report/plot.js';
import { cachedMacs, shapes, weightMacs } from './shapes.js';
import { Workspace } from './workspace.js';

t.test('random checkpoints', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'em-random-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const shape = { dim: 48, hidden: 40, layers: 2, heads: 4, kvHeads: 2, vocab: 600, context: 16 };
  const write = (name: string, seed: number) => {
    writeRandomCheckpoint(join(folder, name), shape, seed);
    return readFileSync(join(folder, name));
  };
  const one = write('one', 1);
  t.ok(one.equals(write('again', 1)), 'same seed, same bytes');
  t.notOk(one.equals(write('other', 2)));

  const checkpoint = openLlama2c(join(folder, 'one'));
  t.teardown(() => checkpoint.close());
  t.match(checkpoint.config, {
    hiddenSize: 48,
    intermediateSize: 40,
    layers: 2,
    kvHeads: 2,
    tiedEmbedding: true,
  });
  const floats = new Float32Array(one.buffer.slice(one.byteOffset + 28, one.byteOffset + one.length));
  const embedding = floats.subarray(0, 600 * 48);
  const variance = embedding.reduce((sum, x) => sum + x * x, 0) / embedding.length;
  t.ok(Math.abs(variance * 48 - 1) < 0.05, `variance x columns: ${variance * 48}`);
  t.ok(
    floats.subarray(600 * 48, 600 * 48 + 2 * 48).every((gain) => gain === 1),
    'gains of norms',
  );
});

t.test('shapes and formats', async (t) => {
  t.equal(weightMacs(shapes['15M']), 15_187_968);
  t.equal(weightMacs(shapes['110M']), 109_510_656);
  t.equal(cachedMacs(shapes['15M']), 3456);
  for (const [name, shape] of Object.entries(shapes)) {
    t.ok(shape.dim % shape.heads === 0 && shape.context >= 64, `${name} can be measured`);
    const said = Number.parseFloat(name) * (name.endsWith('M') ? 1e6 : 1e3);
    t.ok(Math.abs(weightMacs(shape) / said - 1) < 0.05, `${name} has the size of its name`);
  }
  t.equal(planOf('nonsense'), null);
  const w5 = resolvePlan(planOf('w5')!, [{ name: 'layers.0.attn.q', aliases: [] }], 'test');
  t.same([...w5.values()], ['w5']);
  t.equal(planOf('int4')?.name, 'int4');
});

t.test('what a folder keeps', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'em-kept-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  let made = 0;
  const count = (origin: string) =>
    new Workspace(folder).remembered(join(folder, 'bundle'), 'counts', origin, async () => ++made);
  t.equal(await count('one'), 1);
  t.equal(await count('one'), 1, 'taken');
  t.equal(await count('two'), 2, 'made of something else: made anew');
  t.equal(await count('one'), 3, 'and only the last is kept');
  t.equal(programOrigin(), programOrigin());
  t.match(programOrigin(), /^[0-9a-f]{64}$/);
});

t.test('the command line', async (t) => {
  t.match(parseBenchSettings([]), { repeat: 10, profile: false, writeDocs: false, instructions: true });
  t.equal(parseBenchSettings([]).shapes.length, 5);
  t.match(parseBenchSettings(['--quick']), { shapes: ['260K', '15M'], formats: ['int4', 'int8'], repeat: 3 });
  t.match(parseBenchSettings(['--quick', '--shapes', '110M, 15M', '--formats=w5', '--no-speed']), {
    shapes: ['110M', '15M'],
    formats: ['w5'],
    speed: false,
  });
  t.throws(() => parseBenchSettings(['--shapes', '15m']), /did you mean 15M/);
  t.throws(() => parseBenchSettings(['--formats', 'w7']), /neither a plan nor a format/);
  t.throws(() => parseBenchSettings(['--repeat', '0']), /from 1/);
  t.throws(() => parseBenchSettings(['--fast']), /--fast/);
  const words = ['--quick', '--folder', 'x', '--out=y', '--write-docs', '--repeat', '3'];
  t.same(measuredWords(words), ['--quick', '--repeat', '3']);
  for (const option of ['shapes', 'formats', 'targets', 'quick', 'realtime', 'write-docs'])
    t.match(benchHelp, `--${option} `);
});

t.test('shares of functions', async (t) => {
  const line = (address: number) => ({
    address,
    text: '',
    mnemonic: '',
    destination: null,
    isCall: false,
    isReturn: false,
  });
  const program = [
    { name: 'late', lines: [line(200)] },
    { name: 'early', lines: [line(100)] },
  ];
  const blocks = [
    { start: 100, end: 108, instructions: 2, runs: 30 },
    { start: 120, end: 124, instructions: 1, runs: 10 },
    { start: 204, end: 208, instructions: 1, runs: 100 },
    { start: 8, end: 12, instructions: 1, runs: 5 },
  ];
  t.same(functionShares(program, blocks, 10), [
    { function: 'late', instructions: 10 },
    { function: 'early', instructions: 7 },
    { function: '?', instructions: 0.5 },
  ]);
});

const measurement: Measurement = {
  ...{ shape: '15M', format: 'int4', target: 'x86_64-avx2', blobBytes: 8e6, bitsPerWeight: 4.4, macs: 15e6 },
  instructions: { decode: 3e6, prefill: 1.5e6, cachedPosition: 1000 },
  profile: [
    { function: 'em_sum_w4', instructions: 2.4e6 },
    { function: 'em_rare', instructions: 1000 },
  ],
  cycles: {
    ...{ cpu: 'skylake', function: 'em_sum_w4', innerLoop: { instructions: 290, cycles: 79.1 } },
    ...{ innerCyclesPerMac: 0.04, functionCyclesPerMac: 0.05, cyclesPerMac: 0.0625 },
  },
  speed: {
    ...{ decode: { median: 3000, p5: 2500, p95: 3200 }, prefill: 7000, timeToFirstTokenMs: 8 },
    ...{
      bytesPerToken: 8e6,
      bandwidth: 48e9,
      peakRssBytes: 10e6,
      peakRssLimitBytes: 11e6,
      matchesGolden: true,
    },
  },
};

const benchmark: Benchmark = {
  schemaVersion: 1,
  date: '2026-01-02',
  command: 'npm run bench --',
  machine: { cpu: 'A & B <1>', processors: 2, system: 'Debian', kernel: '6', tools: ['qemu 7'] },
  bandwidth: [
    { workingSetBytes: 4e6, bytesPerSecond: 100e9 },
    { workingSetBytes: 3e7, bytesPerSecond: 25e9 },
  ],
  measurements: [measurement],
};

t.test('tables', async (t) => {
  const markdown = benchmarkMarkdown(benchmark);
  t.match(markdown, '| 15M | int4 | x86_64-avx2 | 3.00 M | 0.200 | 1.50 M | 0.50 | 1.00 k |');
  t.match(markdown, '| 15M | int4 | 3000 | 2500 to 3200 | 7000 | 8.0 | 24.0 | 50 % | 10.0 of 11.0 |');
  t.match(markdown, '| 290 in 79.1 | 0.040 (25.0) | 0.050 (20.0) | 0.063 (16.0) |');
  t.match(markdown, '| 100.0 GB/s | 25.0 GB/s |');
  for (const lines of markdown
    .split('\n\n')
    .map((part) => part.split('\n').filter((line) => line.startsWith('|')))) {
    t.equal(new Set(lines.map((line) => line.split('|').length)).size, lines.length === 0 ? 0 : 1, lines[0]);
  }
  const profile = profileMarkdown([measurement]);
  t.match(profile, '| `em_sum_w4` | 2.40 M | 80.0 % |');
  t.notMatch(profile, 'em_rare');

  const nothing = { ...measurement, instructions: null, profile: null, cycles: null, speed: null };
  t.notMatch(
    benchmarkMarkdown({ ...benchmark, measurements: [nothing] }),
    '|',
    'what was not measured has no table',
  );
});

t.test('the drawing', async (t) => {
  const drawing = benchmarkPlot(benchmark);
  t.match(drawing, /^<svg [^>]*viewBox="0 0 900 \d+"/);
  t.match(drawing, 'A &amp; B &lt;1&gt;'.replace('&gt;', '>'));
  t.match(drawing, '15M int4');
  t.notMatch(drawing, /NaN|Infinity|undefined/);
  const open = [...drawing.matchAll(/<(svg|text)\b/g)].length;
  t.equal([...drawing.matchAll(/<\/(svg|text)>/g)].length, open, 'elements are closed');
  // The point lies below the line: 3000 tokens/s where 6250 would be possible.
  const [, cy] = /<circle cx="[\d.]+" cy="([\d.]+)"/.exec(drawing)!;
  const line = /points="([^"]+)"/
    .exec(drawing)![1]!
    .split(' ')
    .map((point) => point.split(',').map(Number));
  const [left, right] = line as [number[], number[]];
  t.ok(left[1]! < right[1]!, 'more bytes, fewer tokens');
  t.ok(Number(cy) > left[1]! && Number(cy) < right[1]!);
  const bare = { ...benchmark, measurements: [{ ...measurement, speed: null }], bandwidth: [] };
  t.match(benchmarkPlot(bare), 'Instructions per multiplication');
  t.notMatch(benchmarkPlot(bare), 'polyline');
});

t.test('the measured part of a document', async (t) => {
  const document = `before\n${measuredBegin}\nold\n${measuredEnd}\nafter\n`;
  const once = replaceMeasured(document, 'new\n');
  t.equal(once, `before\n${measuredBegin}\n\nnew\n\n${measuredEnd}\nafter\n`);
  t.equal(replaceMeasured(once, 'new'), once);
  t.throws(() => replaceMeasured('no marks', 'new'), /lacks/);
  const docs = readFileSync(join(projectRoot, 'docs', 'benchmarks.md'), 'utf8');
  t.doesNotThrow(() => replaceMeasured(docs, ''), 'docs/benchmarks.md has the marks');
});

t.test('what read_bandwidth prints', async (t) => {
  t.same(parseBandwidth('1000 99500\n2000 7\n'), [
    { workingSetBytes: 1000, bytesPerSecond: 99500 },
    { workingSetBytes: 2000, bytesPerSecond: 7 },
  ]);
});
