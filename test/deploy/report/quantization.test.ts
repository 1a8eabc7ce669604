/** The page of a quantization: its markup, its numbers, and records that are none. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { Manifest } from '../../../codegen/bundle/manifest.js';
import { namedPlans } from '../../../codegen/quantize/plan.js';
import { bitsMap } from '../../../deploy/report/bits-map.js';
import { logTicks, rangeAround, ticks } from '../../../deploy/report/chart-frame.js';
import { divergenceChart } from '../../../deploy/report/divergence-chart.js';
import { quantizationSection } from '../../../deploy/report/html-quantization.js';
import { htmlReport } from '../../../deploy/report/html-report.js';
import { junitReport } from '../../../deploy/report/junit-report.js';
import { paretoChart, paretoFront } from '../../../deploy/report/pareto-chart.js';
import { readQuantizationRecords } from '../../../deploy/report/quantization-records.js';
import { reportExitCode } from '../../../deploy/report/report-exit-code.js';
import { sqnrChart } from '../../../deploy/report/sqnr-chart.js';
import { markdownReport, textReport } from '../../../deploy/report/table-report.js';
import { placeOf } from '../../../deploy/report/tensor-place.js';
import { composeResult } from '../../../deploy/result.js';
import { expectError } from '../../codegen/checkpoint/expect-error.js';
import { embedModel } from '../../codegen/commands/embed-model.js';
import { records, tensor, variant } from './quantization-records.js';

const folder = mkdtempSync(join(tmpdir(), 'em-quantization-'));
t.teardown(() => rmSync(folder, { recursive: true }));

const count = (text: string, pattern: RegExp) => text.match(pattern)?.length ?? 0;
const page = (layers: number) =>
  htmlReport({ results: [], failures: [], comparisons: [], history: [], quantizations: [records(layers)] });

/** Names of elements that are opened and not closed, or closed and not opened; attributes must be quoted. */
function unbalanced(markup: string): string[] {
  const open: string[] = [];
  const faults: string[] = [];
  const empty = new Set(['meta', 'br']);
  const tag = /<(\/?)([a-z0-9]+)((?:\s+[a-zA-Z0-9-]+(?:="[^"<]*")?)*)\s*(\/?)>|<[^!]/g;
  for (const [whole, closing, name, , selfClosing] of markup.matchAll(tag)) {
    if (name === undefined) faults.push(whole);
    else if (closing === '/') {
      if (open.pop() !== name) faults.push(whole);
    } else if (selfClosing !== '/' && !empty.has(name)) open.push(name);
  }
  return [...faults, ...open];
}

t.test('markup: balanced, escaped, of its own', async (t) => {
  for (const layers of [0, 1, 6, 40, 300]) {
    const html = page(layers);
    t.same(unbalanced(html.replace(/<style>.*<\/style>/s, '')), [], `${layers} layers`);
    t.notMatch(html, /NaN|undefined|Infinity/);
    t.notMatch(html, /<script|<img|<link|<iframe|\son[a-z]+="|src=|href=|url\(|@import|https?:/i);
    t.match(html, '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;');
  }
  t.same(unbalanced('<p>a<b></p>'), ['</p>', 'p'], 'this test sees faults');
  t.same(unbalanced('<a x=1>'), ['<a']);
});

t.test('what is on the page', async (t) => {
  const html = quantizationSection(records(3));
  for (const title of [
    'Bits per tensor',
    'Loss against size',
    'Divergence token by token',
    'Signal to quantization noise',
  ])
    t.match(html, `<figcaption>${title}`);
  t.match(html, 'Gates: not accepted');
  t.match(html, /<td>size<\/td><td class="failed">FAILED<\/td>/);
  t.match(html, /<td>speed<\/td><td class="open">open<\/td>/);
  t.match(
    html,
    'perplexity</dt><dd>7.3890 in float, 7.4600 quantized: +1.01 %, below +1.21 % with 95 % confidence',
  );
  t.match(html, /<tr class="chosen"><td class="why">2\. first allocation \(chosen\)/);
  t.match(html, /<th class="why">other gates<\/th>/);
  t.match(
    html,
    /<td class="why">fails repetition and &lt;script&gt;.*<td class="why">passed<\/td>.*<td class="why">-<\/td><\/tr><\/tbody>/,
  );
  t.match(
    html,
    /methods<\/dt><dd>as int4, nats a token from float: &lt;script&gt;.* 0\.0679, on 1016 tokens/,
  );
  t.match(html, '<p>What to do</p><ul><li>size: &lt;script');
  t.match(html, 'All 13 tensors');
  t.match(html, '4 of 9 continuations are identical');
  t.match(html, '<td>3 <mark>4 5</mark></td><td>3 <mark>9</mark></td>');
  t.match(html, '<summary>3 more</summary>');
  t.equal(quantizationSection({ summary: null, validation: null, acceptance: null, comparison: null }), '');
  const { validation } = records(1);
  t.match(
    quantizationSection({ summary: null, validation, acceptance: null, comparison: null }),
    'token by token',
  );
});

t.test('gates in the other forms, and in the exit code', async (t) => {
  const content = { results: [], failures: [], comparisons: [], history: [], quantizations: [records(1)] };
  t.match(textReport(content), /acceptance of m, auto\nloss +passed .*\nspeed +open .*\nsize +FAILED/);
  const markdown = markdownReport(content);
  t.match(markdown, '| m, auto | size | **FAILED** | too large |');
  t.match(markdown, 'below \\<script\\>alert');
  t.notMatch(markdown, /[^\\]<script/, 'text of a record is no markup');
  const junit = junitReport(content);
  t.match(junit, '<testsuites name="embed-model" tests="3" failures="1" errors="0">');
  t.match(junit, /<testcase [^>]*name="size"[^>]*><failure message="too large"/);
  t.match(junit, /<testcase [^>]*name="speed"[^>]*><skipped message="not judged"/);
  t.equal(reportExitCode(content), 1);
  t.equal(reportExitCode({ ...content, quantizations: [{ ...records(1), acceptance: null }] }), 0);
});

t.test('the map has a cell a tensor', async (t) => {
  const { tensors } = records(12).summary!;
  const map = bitsMap(tensors);
  t.equal(count(map, /<g><title>/g), tensors.length);
  t.equal(count(map, /class="cell"[^>]*>8</g), 1 + 12, 'embed, and a fourth of the others');
  t.match(
    map,
    /<title>layers\.0\.attn\.q: w4, 64 x 32, 1100 bytes \(4\.30 bits a weight with scales\); SQNR 18\.0 dB/,
  );
  t.equal(
    count(bitsMap(records(200).summary!.tensors), /class="cell"/g),
    1,
    'no room for numbers but on embed',
  );
  t.match(bitsMap([tensor('x', 'w7' as 'w8')]), />\?</, 'a format of another version');
  t.equal(bitsMap([]), '');
  t.same(placeOf('layers.12.mlp.down'), { layer: 12, role: 'mlp.down' });
  t.same(placeOf('layers.x.q'), { layer: null, role: 'layers.x.q' });
  t.same(placeOf('layers.123456.q').layer, null, 'no page with a million columns');
});

t.test('noise: a dot a tensor that has some', async (t) => {
  const tensors = [
    tensor('embed', 'w8'),
    tensor('layers.0.q', 'w4'),
    tensor('layers.1.q', 'w4', { sqnrDb: null }),
  ];
  t.equal(count(sqnrChart(tensors), /<circle[^>]*r="3\.6"/g), 2);
  t.equal(count(sqnrChart([tensor('a', 'w4', { sqnrDb: -Number.MAX_VALUE })]), /<circle/g), 0);
  t.equal(sqnrChart([]), '');
});

t.test('the front of size and loss', async (t) => {
  const front = (...list: [bits: number, kld: number | null][]) =>
    paretoFront(list.map(([bits, kld]) => variant(bits, kld))).map(({ variant }) => variant.bitsPerWeight);
  t.same(front([5, 0.03], [6, 0.01], [5.5, 0.02], [7, 0.02], [4, null]), [5, 5.5, 6]);
  t.same(front([5, 0.02], [5, 0.01]), [5]);
  t.same(front(), []);
  const emitted = { emitted: { kld: 0.05, lnRatio: 0.05, positions: 1 } };
  t.same(
    paretoFront([variant(6, 0.01, emitted), variant(5, 0.02)]).map(({ value }) => value),
    [0.02, 0.01],
    'in float, as long as not all were measured on the emitted C',
  );
  t.same(paretoFront([variant(6, 0.01, emitted)])[0]?.value, 0.05);
  const sizes = fc.array(fc.tuple(fc.integer({ min: 4, max: 9 }), fc.integer({ min: 1, max: 9 })), {
    maxLength: 20,
  });
  fc.assert(
    fc.property(sizes, (list) => {
      const chosen = paretoFront(list.map(([bits, kld]) => variant(bits, kld)));
      const isBeaten = (bits: number, kld: number) =>
        list.some(([b, k]) => b <= bits && k <= kld && (b < bits || k < kld));
      const best = new Set(list.filter((one) => !isBeaten(...one)).map(String));
      const found = chosen.map(({ variant, value }) => String([variant.bitsPerWeight, value]));
      return found.length === best.size && found.every((one) => best.has(one));
    }),
  );
  const { variants, maxLnRatio } = records(1).summary!;
  const chart = paretoChart(variants, maxLnRatio);
  t.match(chart, /<polyline points="[\d., ]+"/);
  t.equal(count(chart, /<circle[^>]*r="8"/g), 1, 'one is chosen');
  t.match(chart, /growth of perplexity .*>2 %<.*stroke-dasharray="4 3".*>limit</s);
  t.match(
    chart,
    '2. first allocation, GPTQ: 5.600 bits a weight, 5600 bytes; in float 1.11 %; emitted C 1.51 %',
  );
  t.notMatch(chart, />predicted</, 'nothing predicts it');
  t.equal(count(paretoChart(variants, null), /stroke-dasharray/g), 0);
  const unknown = variants.map(({ float, ...one }) => ({
    ...one,
    float: { ...float!, lnRatio: null },
    emitted: null,
  }));
  const diverging = paretoChart(unknown, maxLnRatio);
  t.match(diverging, /KL divergence from float.*>predicted</s, 'where perplexity was not measured of all');
  t.equal(count(diverging, /stroke-dasharray/g), 0, 'the limit is one of the loss');
  const far = paretoChart(
    [variant(5, 0.1, { float: { kld: 0.1, lnRatio: 1e300, positions: 1 } })],
    maxLnRatio,
  );
  t.match(far, 'KL divergence from float');
  t.notMatch(far, /NaN|Infinity/);
  t.equal(paretoChart([variant(5, null)], null), '');
  t.equal(paretoChart([], maxLnRatio), '');
});

t.test('divergence: a bar a bin', async (t) => {
  const validation = records(1).validation!;
  const chart = divergenceChart(validation);
  const { counts } = validation.kld.histogram;
  const used = counts.findLastIndex((one) => one > 0) - counts.findIndex((one) => one > 0) + 1;
  t.equal(count(chart, /<rect/g), used);
  t.match(chart, 'share of 9 tokens');
  t.equal(count(chart, /stroke-dasharray/g), 4);
  const { histogram: _, ...earlier } = validation.kld;
  t.equal(
    divergenceChart({ ...validation, kld: earlier as typeof validation.kld }),
    '',
    'reports of earlier versions',
  );
});

t.test('ticks are round, few, evenly spaced and inside', async () => {
  const ends = fc.tuple(
    fc.double({ min: -50, max: 50, noNaN: true }),
    fc.double({ min: 0.01, max: 90, noNaN: true }),
  );
  fc.assert(
    fc.property(ends, ([low, width]) => {
      const marks = ticks([low, low + width]);
      const step = marks.length < 2 ? 0 : marks[1]! - marks[0]!;
      return (
        marks.length >= 2 &&
        marks.length <= 7 &&
        marks.every(
          (mark, i) =>
            mark >= low - 1e-9 && mark <= low + width + 1e-9 && Math.abs(mark - marks[0]! - i * step) < 1e-9,
        )
      );
    }),
  );
  fc.assert(
    fc.property(ends, ([low, width]) => {
      const range = [low / 10, low / 10 + Math.max(0.6, width / 10)] as const;
      const marks = logTicks(range);
      const isInside = marks.every((mark) => Math.log10(mark) >= range[0] && Math.log10(mark) <= range[1]);
      return isInside && marks.length >= 2 && marks.every((mark, i) => i === 0 || mark > marks[i - 1]!);
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.double({ min: -9, max: 9, noNaN: true }), { minLength: 1 }), (values) => {
      const [low, high] = rangeAround(values, 0.5);
      return high - low >= 0.5 - 1e-9 && values.every((value) => value >= low && value <= high);
    }),
  );
});

const files = {
  'quantization_summary.json': 'summary',
  'validation_report.json': 'validation',
  'acceptance.json': 'acceptance',
  'compare_outputs.json': 'comparison',
} as const;

function writeBundle(name: string): string {
  const bundle = join(folder, name);
  mkdirSync(join(bundle, 'report'), { recursive: true });
  const written = records(4);
  for (const [file, key] of Object.entries(files))
    writeFileSync(join(bundle, 'report', file), JSON.stringify(written[key]));
  return bundle;
}

t.test('records of a bundle', async (t) => {
  const bundle = writeBundle('bundle');
  t.same(readQuantizationRecords(bundle), records(4));
  t.same(readQuantizationRecords(folder), {
    summary: null,
    validation: null,
    acceptance: null,
    comparison: null,
  });
  const damaged = (file: keyof typeof files, pattern: RegExp, edit: (text: string) => string) => {
    const own = join(folder, 'damaged');
    cpSync(bundle, own, { recursive: true });
    const path = join(own, 'report', file);
    writeFileSync(path, edit(readFileSync(path, 'utf8')));
    expectError(t, 'EM4041', pattern, () => readQuantizationRecords(own));
    rmSync(own, { recursive: true });
  };
  damaged('acceptance.json', /not JSON/, (text) => text.slice(1));
  damaged('acceptance.json', /schemaVersion is 2/, (text) =>
    text.replace('"schemaVersion":1', '"schemaVersion":2'),
  );
  damaged('acceptance.json', /gates\.0\.passed/, (text) => text.replace('"passed":true', '"passed":"yes"'));
  damaged('acceptance.json', /gates is not a list/, (text) => text.replace(/"gates":\[.*\]/, '"gates":{}'));
  damaged('compare_outputs.json', /outputs\.0\.prompt\.ids\.0 is not number/, (text) =>
    text.replace('"ids":[1,', '"ids":["1",'),
  );
  damaged('quantization_summary.json', /tensors\.0\.name/, (text) =>
    text.replace('"name":"embed"', '"name":5'),
  );
  damaged('quantization_summary.json', /variants\.0\.float\.kld/, (text) =>
    text.replace('"kld":0.02', '"kld":"x"'),
  );
  damaged('quantization_summary.json', /too large/, (text) => text.replace('"mse":0.00001', '"mse":1e999'));
  damaged('validation_report.json', /kld\.histogram\.counts\.0/, (text) =>
    text.replace('"counts":[0', '"counts":[[]'),
  );
});

/** As much of one as a result is made of. */
const manifest = {
  tool: { name: 'embed-model', version: '0' },
  model: { name: 'by hand', family: 'llama', parameters: 1000, sha256: '0' },
  target: 'cortex-a72',
  build: { id: 'ab', quantizedSha256: 'cd' },
  plan: namedPlans.int4,
  quantization: { bitsPerWeight: 5.4, method: 'GPTQ' },
  tensors: [{ name: 'embed', format: 'w4' }],
  memory: {
    blobBytes: 1,
    weightsBytes: 1,
    kvCacheBytes: 1,
    activationBytes: 1,
    arenaBytes: 1,
    stackBytes: 1,
  },
  code: null,
} as unknown as Manifest;

t.test('the command takes a bundle for its result', async (t) => {
  const bundle = writeBundle('given');
  writeFileSync(join(bundle, 'manifest.json'), '{}');
  const html = join(folder, 'report.html');
  const missing = await embedModel(['report', bundle, '--html', html]);
  t.equal(missing.code, 2);
  t.match(missing.stderr, /EM4041.*\n?.*result\.json/);
  const result = composeResult(manifest, null, []);
  writeFileSync(join(bundle, 'report', 'result.json'), JSON.stringify(result));
  const { code, stderr } = await embedModel(['report', bundle, '--html', html]);
  t.equal(code, 1, 'the size gate failed');
  t.equal(stderr, '');
  const written = readFileSync(html, 'utf8');
  t.match(written, 'Loss against size');
  t.match(written, 'not run: by hand for cortex-a72');
});
