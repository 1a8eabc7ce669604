import { kernelSets } from '../../../targets/target.js';
import { EmbedError } from '../../diagnostics/error.js';
import { type BlobEntry, readBlob, verifyBlobPayload } from '../../layout/blob.js';
import { kernelSetOf } from '../../layout/kernel-set.js';
import { formatByCode } from '../../quantize/format.js';
import { formatBytes, formatCount } from '../quantities.js';
import { fieldList, textTable } from '../text-table.js';
import type { Inspection } from './inspection.js';

/**
 * Describes a blob section by section, and checks it. Throws EM1402 to EM1406 where header or table cannot be
 * believed.
 */
export function inspectBlob(path: string): Inspection {
  const blob = readBlob(path);
  const fault = payloadFault(path);
  const buildId = Buffer.from(blob.buildId).toString('hex');
  const payloadSha256 = Buffer.from(blob.payloadSha256).toString('hex');
  const sections = blob.entries.map((entry) => ({
    ...entry,
    format: formatName(entry),
    layout: layoutName(entry),
  }));
  const facts = fieldList([
    ['size', `${formatBytes(blob.blobBytes)} (${formatCount(blob.blobBytes)} bytes)`],
    ['interface', `version ${blob.abiVersion}`],
    ['build', buildId],
    ['header', 'CRC32C of header and table is right'],
    ['payload', fault === null ? `SHA-256 is right: ${payloadSha256}` : `DAMAGED: ${fault}`],
  ]);
  const table = textTable(
    [
      { title: 'section' },
      { title: 'format' },
      { title: 'layout' },
      { title: 'rows', align: 'right' },
      { title: 'columns', align: 'right' },
      { title: 'offset', align: 'right' },
      { title: 'bytes', align: 'right' },
    ],
    sections.map(({ name, format, layout, rows, cols, offset, bytes }) => [
      name,
      format ?? '-',
      layout ?? '-',
      ...[rows, cols, offset, bytes].map(String),
    ]),
  );
  return {
    kind: 'blob',
    document: {
      bytes: blob.blobBytes,
      abiVersion: blob.abiVersion,
      buildId,
      checks: { header: true, payload: fault === null },
      payloadSha256,
      sections,
    },
    text: `blob\n\n${facts}\n\n${table}`,
    faults: fault === null ? [] : [`payload: ${fault}`],
  };
}

function payloadFault(path: string): string | null {
  try {
    verifyBlobPayload(path);
    return null;
  } catch (error) {
    if (error instanceof EmbedError && error.code === 'EM1407') return error.why;
    throw error;
  }
}

/** null for tables, a number for a format this version does not know. */
function formatName({ format }: BlobEntry): string | null {
  return format === 0 ? null : (formatByCode(format)?.name ?? `format ${format}`);
}

function layoutName({ format, layout }: BlobEntry): string | null {
  const known = formatByCode(format);
  if (layout === 0 || known === undefined) return layout === 0 ? null : `layout ${layout}`;
  const layouts = kernelSets.map((name) => kernelSetOf(name).layoutFor(known.name));
  return layouts.find(({ code }) => code === layout)?.name ?? `layout ${layout}`;
}
