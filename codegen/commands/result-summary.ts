/** A result record in the words of a terminal. */
import { relative } from 'node:path';
import type { Result } from '../../deploy/result.js';
import type { Manifest } from '../bundle/manifest.js';
import { printable } from '../diagnostics/printable.js';
import type { BuildResult } from '../pipeline.js';
import { acceptanceSummary } from './acceptance-summary.js';
import { formatAmount, formatBytes, formatCount, formatDuration, formatRate } from './quantities.js';
import { fieldList } from './text-table.js';
import { whereRun } from './where-run.js';

type Row = readonly [string, string];

/** Characters of generated text that are worth a summary. */
const shownText = 300;

/** What a build came to. */
export function buildSummary({ bundle, manifest, result, acceptance }: BuildResult): string {
  const path = relativePath(bundle);
  const { architecture, name, parameters } = manifest.model;
  const fields = fieldList([
    ['model', printable(`${name} (${architecture}, ${formatCount(parameters)} parameters)`)],
    ['target', printable(`${result.target}, ${manifest.targetSpec.description}`)],
    ...sizeRows(result),
    ...lossRows(manifest, acceptance !== null),
    ...runRows(result),
    ['bundle', printable(path)],
    ['next', printable(`embed-model run ${path} ${manifest.tokenizer ? '--prompt TEXT' : '--ids 1,2,3'}`)],
  ]);
  return acceptance === null ? fields : `${fields}\n\n${acceptanceSummary(acceptance)}`;
}

/** What a run came to; its text was printed as it came. */
export function runSummary(result: Result): string {
  return fieldList(runRows(result, false));
}

/** All of a record, for inspect. */
export function resultSummary(result: Result): string {
  const { name, family, parameters } = result.model;
  return fieldList([
    ['model', printable(`${name} (${family}, ${formatCount(parameters)} parameters)`)],
    ['target', printable(result.target)],
    ['build', printable(result.build.id)],
    ...sizeRows(result),
    ...runRows(result),
    ...result.warnings.map((warning): Row => ['warning', printable(warning)]),
  ]);
}

/** What certifies the quantization, where something does. `judged`: the verdict follows, with other gates. */
function lossRows({ quantization }: Manifest, judged: boolean): Row[] {
  const { certification = null, accepted = null } = quantization;
  if (certification === null) return [];
  const { lnRatio, tokens, text, threshold } = certification;
  const percent = (value: number) => `${(100 * value).toFixed(2)} %`;
  const upper =
    lnRatio.upper95 === null ? '' : `, at most +${percent(Math.expm1(lnRatio.upper95))} with 95 % confidence`;
  const limit = `limit ${percent(threshold)}`;
  const verdict = accepted === null ? 'not judged: too few windows' : accepted ? 'accepted' : 'NOT ACCEPTED';
  const where = `on ${formatAmount(tokens, 'token')} of ${printable(text.name)}`;
  const found = `perplexity +${percent(Math.expm1(lnRatio.mean))}${upper}, ${where}`;
  return [['loss', judged ? found : `${found} (${limit}): ${verdict}`]];
}

function sizeRows({ quantization, files, memory }: Result): Row[] {
  const { name, bitsPerWeight, formats, method } = quantization;
  const tensors = Object.entries(formats).map(
    ([format, count]) => `${formatAmount(count, 'tensor')} ${format}`,
  );
  const { textBytes, rodataBytes } = files;
  const parts = [
    `weights ${formatBytes(memory.weightsBytes)}`,
    `KV cache ${formatBytes(memory.kvCacheBytes)}`,
    `activations ${formatBytes(memory.activationBytes)}`,
    ...(memory.stackBytes === null ? [] : [`stack ${formatBytes(memory.stackBytes)}`]),
  ];
  return [
    [
      'quantization',
      printable(`${name}, ${bitsPerWeight.toFixed(2)} bits per weight, ${method} (${tensors.join(', ')})`),
    ],
    ['blob', formatBytes(files.blobBytes)],
    ...(textBytes === null || rodataBytes === null
      ? []
      : [['code', `${formatBytes(textBytes + rodataBytes)} without weights`] as const]),
    ['memory', parts.join(', ')],
  ];
}

function runRows(result: Result, withText = true): Row[] {
  const { board, output, memory } = result;
  if (board.transport === null) return [['run', 'not run']];
  return [
    ...(withText && output.text !== null
      ? [['text', quoted(`${output.prompt ?? ''}${output.text}`)] as const]
      : []),
    ['run', printable(whereRun(board))],
    ['speed', speedText(result)],
    ...(memory.peakRssBytes === null ? [] : [['peak memory', formatBytes(memory.peakRssBytes)] as const]),
    ['logits', `digest ${output.logitsDigest ?? 'none'}${goldenText(output.matchesGolden)}`],
  ];
}

function goldenText(matches: boolean | null): string {
  if (matches === null) return '';
  return matches
    ? ', equal to the golden one'
    : ', NOT EQUAL to the golden one: this build computes something else';
}

function speedText({ board, speed }: Result): string {
  const {
    generatedTokens,
    threads,
    tokensPerSecond,
    promptTokens,
    promptTokensPerSecond,
    timeToFirstTokenMs,
  } = speed;
  const perSecond = (rate: number | null) => (rate === null ? '' : ` at ${formatRate(rate, 'token')}`);
  const parts = [
    ...(promptTokens === null
      ? []
      : [`prompt ${formatAmount(promptTokens, 'token')}${perSecond(promptTokensPerSecond)}`]),
    ...(generatedTokens === null ? [] : [`generated ${generatedTokens}${perSecond(tokensPerSecond.median)}`]),
    ...(timeToFirstTokenMs === null ? [] : [`first after ${formatDuration(timeToFirstTokenMs / 1000)}`]),
    ...(threads === null ? [] : [formatAmount(threads, 'thread')]),
  ];
  return `${parts.join(', ')}${board.emulated ? ' (emulated: says nothing about a board)' : ''}`;
}

function quoted(text: string): string {
  const shown = text.length > shownText ? `${text.slice(0, shownText)}...` : text;
  return printable(shown.trim());
}

/** As short as it can be typed. */
function relativePath(path: string): string {
  const shorter = relative(process.cwd(), path);
  return shorter.startsWith('..') || shorter.length >= path.length ? path : `./${shorter}`;
}
