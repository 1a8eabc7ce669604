/** What verify found, in the words of a terminal. */
import type { VerifiedRun, VerifyReport } from '../../deploy/verify-bundle.js';
import type { FirstDifference, LayerReport } from '../../deploy/verify-layers.js';
import { printable } from '../diagnostics/printable.js';
import { formatAmount } from './quantities.js';
import { textTable } from './text-table.js';

/** Tables of runs and, where they were compared, of ops; what they come to stands last. */
export function verifySummary(report: VerifyReport): string {
  const { runs, layers, files, matches, emulated, model, target } = report;
  const where = `${model} for ${target}, ${emulated ? 'under emulation' : 'on this machine'}`;
  return [
    runTable(runs),
    ...(layers === null ? [] : [`${opTable(layers)}\n\n${layerText(layers)}`]),
    files.different.length === 0
      ? `${formatAmount(files.checked, 'file')} as the manifest says`
      : printable(`not as the manifest says: ${files.different.join(', ')}`),
    printable(matches ? `${where}: equal to the reference, bit for bit` : `${where}: NOT VERIFIED`),
  ].join('\n\n');
}

function runTable(runs: readonly VerifiedRun[]): string {
  const columns = [
    { title: 'prompt', align: 'right' },
    { title: 'generated', align: 'right' },
    { title: 'chosen' },
    { title: 'at a time', align: 'right' },
    { title: 'logits digest' },
    { title: 'result' },
  ] as const;
  return textTable(
    columns,
    runs.map(({ promptTokens, generatedTokens, sampling, chunk, digest, matches, sameTokens }) => [
      `${promptTokens}`,
      `${generatedTokens}`,
      sampling.temperatureQ16 === 0 ? 'greedy' : `sampled, seed ${printable(sampling.seed)}`,
      chunk === null ? 'all' : `${chunk}`,
      digest.found ?? 'none',
      matches ? 'equal' : sameTokens === false ? 'OTHER TOKENS' : `NOT ${printable(digest.expected)}`,
    ]),
  );
}

/** Errors are those of the integers against the float model; each op starts from what the ones before left. */
function opTable({ ops }: LayerReport): string {
  const columns = [
    { title: 'layer', align: 'right' },
    { title: 'op' },
    { title: 'kind' },
    { title: 'SQNR dB', align: 'right' },
    { title: 'largest error', align: 'right' },
    { title: 'integers' },
  ] as const;
  return textTable(
    columns,
    ops.map(({ layer, name, kind, sqnrDb, maxAbsError, identical }) => [
      layer < 0 ? '-' : `${layer}`,
      name,
      kind,
      sqnrDb === null ? '-' : sqnrDb.toFixed(1),
      maxAbsError.toPrecision(3),
      identical ? 'identical' : 'DIFFERENT',
    ]),
  );
}

function layerText({ positions, firstDifference }: LayerReport): string {
  const compared = `${formatAmount(positions, 'position')} compared`;
  return firstDifference === null
    ? `${compared}; what ran gave the integers of the reference in every op`
    : `${compared}; first difference: ${differenceText(firstDifference)}`;
}

function differenceText({ layer, name, position, element, expected, found }: FirstDifference): string {
  const place = layer < 0 ? name : `${name} of layer ${layer}`;
  return `${place}, position ${position}, value ${element}: ${found} instead of ${expected}`;
}
