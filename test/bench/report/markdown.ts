/** A benchmark as the Markdown tables of docs/benchmarks.md. */
import { formatMagnitude } from '../../../codegen/commands/quantities.js';
import type { Benchmark, Measurement } from '../measurement.js';

export function benchmarkMarkdown(benchmark: Benchmark): string {
  const { measurements } = benchmark;
  const sections = [
    machineText(benchmark),
    ...instructionTables(measurements),
    ...speedTables(benchmark),
    ...cycleTables(measurements),
  ];
  return `${sections.join('\n\n')}\n`;
}

/** Of the last token's functions, those with at least a percent. */
export function profileMarkdown(measurements: readonly Measurement[]): string {
  const tables = measurements.flatMap(({ shape, format, target, profile, instructions }) => {
    if (profile === null || instructions === null) return [];
    const rows = profile
      .filter((one) => one.instructions > 0.01 * instructions.decode)
      .map((one) => [
        `\`${one.function}\``,
        formatMagnitude(one.instructions),
        `${((100 * one.instructions) / instructions.decode).toFixed(1)} %`,
      ]);
    return [`### ${shape} ${format}, ${target}`, table(['function', 'instructions a token', 'share'], rows)];
  });
  return `${tables.join('\n\n')}\n`;
}

function machineText({ date, command, machine }: Benchmark): string {
  const { cpu, processors, system, kernel, tools } = machine;
  return [
    `Measured on ${date}: ${cpu}, ${processors} processors, ${system}, Linux ${kernel}.`,
    ...tools.map((tool) => `- ${tool}`),
    `\n    ${command}`,
  ].join('\n');
}

function instructionTables(measurements: readonly Measurement[]): string[] {
  const counted = measurements.filter(({ instructions }) => instructions !== null);
  if (counted.length === 0) return [];
  const rows = counted.map(({ shape, format, target, macs, instructions }) => {
    const { decode, prefill, cachedPosition } = instructions!;
    return [
      ...[shape, format, target],
      formatMagnitude(decode),
      (decode / macs).toFixed(3),
      formatMagnitude(prefill),
      (prefill / decode).toFixed(2),
      formatMagnitude(cachedPosition),
    ];
  });
  const heads = [
    'shape',
    'format',
    'target',
    'decode',
    'per MAC',
    'prefill',
    'prefill / decode',
    'cached position',
  ];
  return [
    '## Instructions per token',
    'Executed instructions, counted under qemu-user, one thread, no digest. Decode: a token at contexts 2 to 6, the ' +
      'choice of the next included; per MAC: by the multiplications of its matrices. Prefill: a token of a prompt of 64, ' +
      'the logits of the last included. Cached position: what a decoded token costs more for each position before it.',
    table(heads, rows, 3),
  ];
}

function speedTables({ measurements, bandwidth }: Benchmark): string[] {
  const timed = measurements.filter(({ speed }) => speed !== null);
  if (timed.length === 0) return [];
  const rows = timed.map(({ shape, format, speed }) => {
    const { decode, prefill, timeToFirstTokenMs, bytesPerToken, peakRssBytes, peakRssLimitBytes } = speed!;
    const reads = decode.median * bytesPerToken;
    return [
      ...[shape, format],
      rate(decode.median),
      `${rate(decode.p5)} to ${rate(decode.p95)}`,
      rate(prefill),
      timeToFirstTokenMs.toFixed(1),
      (reads / 1e9).toFixed(1),
      `${((100 * reads) / speed!.bandwidth).toFixed(0)} %`,
      `${(peakRssBytes / 1e6).toFixed(1)} of ${(peakRssLimitBytes / 1e6).toFixed(1)}`,
    ];
  });
  const heads = ['shape', 'format', 'decode tokens/s', 'p5 to p95', 'prefill tokens/s', 'first token ms'];
  return [
    '## Speed on this machine',
    'One thread of this machine, `embed-model bench`: a prompt of 64, 64 tokens generated. Read: weights and cache that a ' +
      'token reads, times tokens/s. Of bandwidth: by what one thread reads at most of a working set of that size, measured ' +
      'right after. Memory: peak resident set of the runner, and its limit: blob, arena and 1.5 MiB.',
    table([...heads, 'read GB/s', 'of bandwidth', 'memory MB'], rows, 2),
    'Read bandwidth of one thread by working set, the fastest pass:',
    table(
      bandwidth.map(({ workingSetBytes }) => `${formatMagnitude(workingSetBytes)}B`),
      [bandwidth.map(({ bytesPerSecond }) => `${(bytesPerSecond / 1e9).toFixed(1)} GB/s`)],
      0,
    ),
  ];
}

function cycleTables(measurements: readonly Measurement[]): string[] {
  const estimated = measurements.filter(({ cycles }) => cycles !== null);
  if (estimated.length === 0) return [];
  const rows = estimated.map(({ shape, format, target, cycles }) => {
    const { cpu, innerLoop, innerCyclesPerMac, functionCyclesPerMac, cyclesPerMac } = cycles!;
    return [
      ...[shape, format, target, cpu, `\`${cycles!.function}\``],
      `${innerLoop.instructions} in ${innerLoop.cycles.toFixed(1)}`,
      perMac(innerCyclesPerMac),
      perMac(functionCyclesPerMac),
      perMac(cyclesPerMac),
    ];
  });
  const heads = ['shape', 'format', 'target', 'core', 'kernel', 'instructions in cycles'];
  return [
    '## Cycles per multiplication',
    'Estimated by llvm-mca from the loops of the built program (every load hits the first cache, every branch is foreseen), ' +
      'weighted by how often a decoded token runs them: cycles per MAC, and MACs per cycle in brackets. Inner loops: those of ' +
      'the kernel. With scales: all of the kernel. All: row multipliers and calls included.',
    table([...heads, 'inner loops', 'with scales', 'all'], rows, 5),
  ];
}

const perMac = (cycles: number) => `${cycles.toFixed(3)} (${(1 / cycles).toFixed(1)})`;

const rate = (perSecond: number) => (perSecond < 100 ? perSecond.toFixed(1) : perSecond.toFixed(0));

/** The first `texts` columns are text, the rest numbers. */
function table(heads: readonly string[], rows: readonly (readonly string[])[], texts = 1): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rule = heads.map((_, i) => (i < texts ? '---' : '---:'));
  return [line(heads), line(rule), ...rows.map(line)].join('\n');
}
