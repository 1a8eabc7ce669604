import { createHash } from 'node:crypto';

/** The first 16 hex digits of a SHA-256: against noise, not against people. Boards have sha256sum; not all have cksum. */
export const shortHash = (bytes: Uint8Array | string): string =>
  createHash('sha256')
    .update(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    .digest('hex')
    .slice(0, 16);
