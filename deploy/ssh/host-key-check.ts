/** Decides whether the key that a host shows is the host's: by a pinned fingerprint, else by known_hosts. */
import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import {
  fingerprint,
  judgeHostKey,
  type KnownHostLine,
  keyType,
  knownHostEntry,
  knownTypes,
  parseKnownHosts,
} from './known-hosts.js';
import type { SshTarget } from './ssh-target.js';

export interface HostKeyCheck {
  /** Types of host keys to ask for first: of these a key is known. */
  readonly wantedTypes: readonly string[];
  /** null: the key is the host's. Writes a new key down where that was asked for. */
  refusal(key: Buffer): EmbedError | null;
}

/** Reads the known_hosts files of the target once. `acceptNew`: a host that no file knows is added to the first of them. */
export function hostKeyCheck(target: SshTarget, acceptNew: boolean): HostKeyCheck {
  if (target.fingerprint !== null) {
    const pinned = target.fingerprint;
    return { wantedTypes: [], refusal: (key) => pinRefusal(target, pinned, key) };
  }
  const lines = target.knownHostsFiles.flatMap((file) => readLines(file));
  return {
    wantedTypes: knownTypes(lines, target.hostKeyName),
    refusal: (key) => knownHostsRefusal(target, lines, key, acceptNew),
  };
}

function readLines(file: string): KnownHostLine[] {
  return existsSync(file) ? parseKnownHosts(readFileSync(file, 'utf8')) : [];
}

function pinRefusal(target: SshTarget, pinned: string, key: Buffer): EmbedError | null {
  const shown = fingerprint(key);
  if (shown === pinned) return null;
  const why = `it shows ${shown}, boards.json pins ${pinned}`;
  const fix = 'find out why; if the board was set up anew, correct fingerprint in boards.json';
  return new EmbedError('EM4013', { where: target.hostKeyName, why, fix });
}

function knownHostsRefusal(
  target: SshTarget,
  lines: readonly KnownHostLine[],
  key: Buffer,
  acceptNew: boolean,
): EmbedError | null {
  const { hostKeyName: where, knownHostsFiles } = target;
  const shown = `${keyType(key)} ${fingerprint(key)}`;
  switch (judgeHostKey(lines, where, key)) {
    case 'known':
      return null;
    case 'revoked':
      return new EmbedError('EM4013', {
        where,
        why: `it shows ${shown}, which known_hosts marks @revoked`,
        fix: 'do not use this key: give the board a new host key and take its old lines out of known_hosts',
      });
    case 'other': {
      const fix = `find out why; if the board was set up anew: ssh-keygen -f ${knownHostsFiles[0]} -R '${where}'`;
      return new EmbedError('EM4013', { where, why: `it shows ${shown}, known_hosts has another`, fix });
    }
    case 'unknown':
      if (acceptNew) return writeDown(target, key);
      return new EmbedError('EM4012', {
        where,
        why: `it shows ${shown}, which is not in ${knownHostsFiles.join(', ')}`,
      });
  }
}

function writeDown({ hostKeyName, knownHostsFiles: [file] }: SshTarget, key: Buffer): EmbedError | null {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const endsMidLine = existsSync(file) && /[^\n]$/.test(readFileSync(file, 'utf8'));
    appendFileSync(file, (endsMidLine ? '\n' : '') + knownHostEntry(hostKeyName, key, randomBytes(20)), {
      mode: 0o600,
    });
    return null;
  } catch (cause) {
    const why = `its host key cannot be written down: ${cause instanceof Error ? cause.message : String(cause)}`;
    return new EmbedError('EM4015', { where: file, why, cause });
  }
}
