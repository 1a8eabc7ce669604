/**
 * Builds a checkpoint of random weights in the shape of a larger model, and prints what that took as a row of Markdown:
 *
 *     node dist/test/bench/large/main.js gpt2-124m|llama-15m|llama-150m|llama-340m IDS [BUILD OPTIONS]
 *
 * IDS random ids are what weights are fitted to; options are added to those of the build. Takes some GB in the folder for temporary
 * files, and gives them back.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { largeCheckpoints, writeRandomIds } from './checkpoints.js';
import { type WatchedBuild, watchedBuild } from './watched-build.js';

const LEAST_IDS = 1024;

async function main([name = '', ids = '', ...options]: readonly string[]): Promise<void> {
  const checkpoint = Object.hasOwn(largeCheckpoints, name) ? largeCheckpoints[name] : undefined;
  const count = Number(ids);
  if (checkpoint === undefined || !Number.isInteger(count) || count < LEAST_IDS) {
    const names = Object.keys(largeCheckpoints).join('|');
    console.error(`usage: main.js ${names} IDS [BUILD OPTIONS]; IDS is ${LEAST_IDS} or more`);
    process.exitCode = 2;
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'em-large-'));
  try {
    const model = ['--model', checkpoint.write(folder), '--no-tokenizer'];
    const calibration = ['--calibration', writeRandomIds(folder, checkpoint.vocab, count)];
    const fixed = ['--target', 'x86_64-avx2', '--no-run', ...model, ...calibration];
    const found = await watchedBuild(folder, [...fixed, ...options]);
    if (found === null) process.exitCode = 1;
    else console.log(asMarkdown(name, count, found));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function asMarkdown(name: string, ids: number, found: WatchedBuild): string {
  const { processorSeconds, seconds, peakBytes, manifest } = found;
  const { model, plan, quantization, memory } = manifest;
  const minutes = `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return [
    '| checkpoint | parameters | plan | ids | processor time | until done | memory, at most | bits a weight | blob |',
    '|---|---|---|---|---|---|---|---|---|',
    `| ${name} | ${(model.parameters / 1e6).toFixed(1)} M | ${plan.name}, ${quantization.method} | ${ids} ` +
      `| ${processorSeconds.toFixed(0)} s | ${minutes} | ${(peakBytes / 1e9).toFixed(2)} GB ` +
      `| ${quantization.bitsPerWeight.toFixed(2)} | ${(memory.blobBytes / 1e6).toFixed(1)} MB |`,
  ].join('\n');
}

await main(process.argv.slice(2));
