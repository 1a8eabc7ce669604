/** The comparison with llama.cpp. llama-bench.jsonl in test/data is what a llama-bench printed for 15M, but for its time. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { projectRoot } from '../project-root.js';
import { type Comparison, comparisonMarkdown, median, requireOneShape } from './compare-engines.js';
import { findLlamaBench, parseLlamaBench, runLlamaBench } from './llama-bench.js';
import { writeRandomGguf } from './random-gguf.js';

const folder = mkdtempSync(join(tmpdir(), 'em-llama-test-'));
t.teardown(() => rmSync(folder, { recursive: true }));
const llamaBench = await findLlamaBench();

const shape = { dim: 64, hidden: 96, layers: 2, heads: 4, kvHeads: 2, vocab: 128, context: 64 };
/** Embedding, two layers, three norms of which two stand in each layer. */
const parameters = 128 * 64 + 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 96 + 2 * 64) + 64;

t.test('what llama-bench prints', async (t) => {
  const recorded = readFileSync(join(projectRoot, 'test', 'data', 'llama-bench.jsonl'), 'utf8');
  const tests = parseLlamaBench(recorded);
  t.match(tests, [
    { promptTokens: 64, generatedTokens: 0, threads: 1 },
    { promptTokens: 0, generatedTokens: 64, threads: 1 },
  ]);
  for (const { modelType, buildCommit, tokensPerSecond, modelParameters } of tests) {
    t.match(modelType, /^llama .*Q4_0/);
    t.match(buildCommit, /^[0-9a-z]+$/);
    t.equal(modelParameters, 15_191_712);
    t.equal(tokensPerSecond.length, 3);
    t.ok(tokensPerSecond.every((rate) => rate > 100));
  }
  t.throws(() => parseLlamaBench(''), /no test/);
  t.throws(() => parseLlamaBench(recorded.replaceAll('samples_ts', 'samples')), /prints no samples_ts/);
  t.throws(
    () => parseLlamaBench(recorded.replaceAll(/"n_prompt": \d+/g, '"n_prompt": null')),
    /n_prompt .*null/,
  );
});

t.test('random GGUF files', async (t) => {
  const write = (name: string, format: 'q4_0' | 'q8_0') => {
    writeRandomGguf(join(folder, name), shape, format);
    return readFileSync(join(folder, name));
  };
  const file = write('a.gguf', 'q4_0');
  t.ok(file.equals(write('b.gguf', 'q4_0')), 'same shape, same bytes');
  t.equal(file.toString('latin1', 0, 4), 'GGUF');
  t.equal(file.readUInt32LE(4), 3);
  t.equal(file.readBigUInt64LE(8), 20n, 'tensors');
  const norms = 5 * 64;
  const dataBytes = (format: number) => ((parameters - norms) / 32) * format + 4 * norms;
  const headerBytes = file.length - dataBytes(18);
  t.ok(headerBytes > 500 && headerBytes < 3000 && headerBytes % 32 === 0, `${headerBytes} bytes of header`);
  t.equal(write('c.gguf', 'q8_0').length - dataBytes(34), headerBytes);
  t.throws(() => writeRandomGguf(join(folder, 'd'), { ...shape, hidden: 172 }, 'q4_0'), /172/);
});

t.test(
  'a real llama-bench takes them',
  { skip: llamaBench === undefined && 'llama-bench is not in PATH' },
  async (t) => {
    const gguf = join(folder, 'real.gguf');
    writeRandomGguf(gguf, shape, 'q4_0');
    const request = { gguf, promptTokens: 4, generatedTokens: 4, threads: 1, repetitions: 2 };
    const tests = await runLlamaBench(llamaBench!, request, []);
    t.same(
      tests.map(({ modelParameters, tokensPerSecond }) => [modelParameters, tokensPerSecond.length]),
      [
        [parameters, 2],
        [parameters, 2],
      ],
    );
  },
);

t.test('pairs', async (t) => {
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([4, 1, 2, 3]), 2.5);
  const comparison = {
    llama: { buildCommit: 'abc', modelType: 'llama ?B Q4_0', modelParameters: 100, modelBytes: 8.5e6 },
    bundle: {
      target: 'x86_64-avx2',
      model: { name: '15M', family: 'llama', parameters: 100, sha256: '' },
      quantization: { name: 'int4' },
      files: { blobBytes: 8.4e6 },
    },
    threads: 1,
    tokens: 64,
    prefill: [{ embedModel: 100, llama: 200 }],
    decode: [
      { embedModel: 300, llama: 100 },
      { embedModel: 100, llama: 50 },
      { embedModel: 500, llama: 125 },
    ],
  } as unknown as Comparison;
  const table = comparisonMarkdown(comparison);
  t.match(table, '| prefill of 64 | 100 | 200 | 0.50x | 0.50 to 0.50 |');
  t.match(table, '| decode of 64 | 300 | 100 | 3.00x | 2.00 to 4.00 |');
  t.match(table, /8\.4 MB.*llama \?B Q4_0 \(8\.5 MB\); 1 thread, 3 pairs/);
  const { bundle } = comparison;
  t.doesNotThrow(() => requireOneShape(bundle, { modelParameters: 100.5 }));
  t.throws(() => requireOneShape(bundle, { modelParameters: 110 }), /not one shape/);
});

t.test('its command line', async (t) => {
  const main = join(projectRoot, 'dist', 'test', 'bench', 'llama', 'main.js');
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', env: { PATH: folder } });
  t.match(run('--help'), { status: 0, stdout: /--gguf FILE/ });
  t.match(run(), { status: 2, stderr: /no llama-bench in PATH/ });
  t.match(run('--nonsense'), { status: 2, stderr: /--nonsense/ });
});
