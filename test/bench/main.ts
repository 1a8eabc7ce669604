/** `npm run bench`: builds what is to be measured, measures it, and writes tables, a drawing and the figures. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findToolchain } from '../../codegen/compile/toolchain.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { findLauncher } from '../../deploy/local.js';
import { findTarget } from '../../targets/index.js';
import { ReadBandwidth } from './bandwidth/read-bandwidth.js';
import { type BenchSettings, benchHelp, measuredWords, parseBenchSettings } from './command-line.js';
import { BlockCounter } from './instructions/block-counter.js';
import { PipelineModel } from './machine-code/pipeline-model.js';
import { machineFacts } from './machine-facts.js';
import { type Instruments, type Machine, measureCase } from './measure-case.js';
import type { Benchmark, Measurement } from './measurement.js';
import { projectRoot } from './project-root.js';
import { replaceMeasured } from './report/document.js';
import { benchmarkMarkdown, profileMarkdown } from './report/markdown.js';
import { benchmarkPlot } from './report/plot.js';
import { Workspace } from './workspace.js';

/** Working sets of the bandwidth curve, from the first cache to memory. */
const workingSets = [16e3, 250e3, 1e6, 4e6, 8e6, 16e6, 32e6, 64e6, 128e6, 256e6];

async function main(args: readonly string[]): Promise<void> {
  const settings = parseBenchSettings(args);
  if (settings.help) {
    console.log(benchHelp);
    return;
  }
  const folder = settings.folder ?? mkdtempSync(join(tmpdir(), 'em-bench-'));
  try {
    const machines = await Promise.all(settings.targets.map(findMachine));
    const instruments = await openInstruments(folder, settings, machines);
    const measurements = await measureAll(settings, machines, instruments);
    const benchmark: Benchmark = {
      schemaVersion: 1,
      date: new Date().toISOString().slice(0, 10),
      command: ['npm run bench --', ...measuredWords(args)].join(' '),
      machine: await machineFacts(machines, instruments.pipelines),
      bandwidth: (await instruments.bandwidth?.measure(workingSets)) ?? [],
      measurements,
    };
    write(benchmark, settings);
  } finally {
    if (settings.folder === null) rmSync(folder, { recursive: true, force: true });
  }
}

async function findMachine(name: string): Promise<Machine> {
  const target = await findTarget(name);
  const toolchain = await findToolchain(target);
  const { emulated } = await findLauncher(target);
  return { target, toolchain, isNative: !emulated };
}

async function openInstruments(
  folder: string,
  { instructions, speed, realtime, repeat, folder: kept }: BenchSettings,
  machines: readonly Machine[],
): Promise<Instruments> {
  const workspace = new Workspace(folder);
  const prefix = realtime ? ['chrt', '-f', '20'] : [];
  const timesSomething = speed && machines.some(({ isNative }) => isNative);
  const pipelines = instructions ? await PipelineModel.open(folder) : null;
  if (instructions && pipelines === null) console.error('no llvm-mca here: no cycles (Debian package llvm)');
  return {
    workspace,
    counter: instructions ? await BlockCounter.open(folder) : null,
    pipelines,
    bandwidth: timesSomething ? await ReadBandwidth.open(folder, prefix) : null,
    prefix,
    repeat,
    keepsBundles: kept !== null,
  };
}

async function measureAll(
  { shapes, formats }: BenchSettings,
  machines: readonly Machine[],
  instruments: Instruments,
): Promise<Measurement[]> {
  const work = shapes.flatMap((shape) =>
    formats.flatMap((format) => machines.map((machine) => ({ shape, format, machine }))),
  );
  const done: Measurement[] = [];
  for (const { shape, format, machine } of work) {
    const { target } = machine;
    console.error(`${done.length + 1} of ${work.length}: ${shape} ${format} for ${target.name}`);
    done.push(await measureCase({ shape, format, target: target.name }, machine, instruments));
  }
  return done;
}

function write(benchmark: Benchmark, { out, profile, writeDocs }: BenchSettings): void {
  const markdown = benchmarkMarkdown(benchmark);
  const drawing = benchmarkPlot(benchmark);
  const profiles = profile ? `\n${profileMarkdown(benchmark.measurements)}` : '';
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'benchmarks.json'), `${JSON.stringify(benchmark, null, 2)}\n`);
  writeFileSync(join(out, 'benchmarks.md'), markdown + profiles);
  writeFileSync(join(out, 'benchmarks.svg'), drawing);
  console.log(markdown + profiles);
  console.error(`written: ${out}/benchmarks.md, .json, .svg`);
  if (!writeDocs) return;
  const document = join(projectRoot, 'docs', 'benchmarks.md');
  writeFileSync(document, replaceMeasured(readFileSync(document, 'utf8'), markdown));
  writeFileSync(join(projectRoot, 'docs', 'benchmarks.svg'), drawing);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(
    error instanceof EmbedError ? error.format() : `error: ${error instanceof Error ? error.message : error}`,
  );
  process.exitCode = error instanceof EmbedError ? error.exitCode : 2;
}
