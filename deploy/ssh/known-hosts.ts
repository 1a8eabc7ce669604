/** known_hosts files (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): plain, patterned and hashed names, [host]:port, @revoked. */
import { createHash, createHmac } from 'node:crypto';

export interface KnownHostLine {
  /** null, or the marker: 'revoked', 'cert-authority'. */
  readonly marker: string | null;
  readonly hosts: string;
  /** Such as ssh-ed25519. */
  readonly type: string;
  /** The key as it goes over the wire. */
  readonly key: Buffer;
  /** From 1. */
  readonly line: number;
}

/** What a file says of a key. 'other': of this host it knows only other keys. */
export type HostKeyVerdict = 'known' | 'unknown' | 'other' | 'revoked';

/** Lines that can be read; others are skipped, as OpenSSH does. */
export function parseKnownHosts(text: string): KnownHostLine[] {
  const lines: KnownHostLine[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const words = raw.trim().split(/\s+/);
    if (words[0] === '' || words[0].startsWith('#')) continue;
    const marker = words[0].startsWith('@') ? words.shift()!.slice(1) : null;
    const [hosts, type, base64] = words;
    if (base64 === undefined) continue;
    const key = Buffer.from(base64, 'base64');
    if (keyType(key) !== type) continue;
    lines.push({ marker, hosts, type, key, line: index + 1 });
  }
  return lines;
}

/** Name of the algorithm that stands first in a public key; null where there is none. */
export function keyType(key: Buffer): string | null {
  if (key.length < 4) return null;
  const length = key.readUInt32BE(0);
  return length > 64 || key.length < 4 + length ? null : key.toString('latin1', 4, 4 + length);
}

/** The name under which known_hosts keeps a host. */
export function knownHostName(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/** What `lines` say of the key that `name` (see knownHostName) has shown. */
export function judgeHostKey(lines: readonly KnownHostLine[], name: string, key: Buffer): HostKeyVerdict {
  const about = lines.filter(({ hosts }) => matchesHosts(hosts, name));
  const same = about.filter((line) => line.key.equals(key));
  if (same.some(({ marker }) => marker === 'revoked')) return 'revoked';
  const ordinary = about.filter(({ marker }) => marker === null);
  if (ordinary.some((line) => line.key.equals(key))) return 'known';
  return ordinary.length === 0 ? 'unknown' : 'other';
}

/** Types of the keys that are known of a host: what to ask it for, so that it shows one that can be compared. */
export function knownTypes(lines: readonly KnownHostLine[], name: string): string[] {
  const about = lines.filter(({ hosts, marker }) => marker === null && matchesHosts(hosts, name));
  return [...new Set(about.map(({ type }) => type))];
}

/** The line that --accept-new adds: hashed, so that the file does not tell which boards there are. */
export function knownHostEntry(name: string, key: Buffer, salt: Buffer): string {
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${hash} ${keyType(key)} ${key.toString('base64')}\n`;
}

/** SHA256:... as ssh-keygen -l prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

function matchesHosts(hosts: string, name: string): boolean {
  if (hosts.startsWith('|1|')) {
    const [, , salt, hash] = hosts.split('|');
    if (salt === undefined || hash === undefined) return false;
    return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash;
  }
  let matches = false;
  for (const pattern of hosts.toLowerCase().split(',')) {
    const negated = pattern.startsWith('!');
    if (!matchesPattern(negated ? pattern.slice(1) : pattern, name)) continue;
    if (negated) return false;
    matches = true;
  }
  return matches;
}

/** Patterns of ssh_config(5): * any characters, ? one. */
export function matchesPattern(pattern: string, name: string): boolean {
  const source = [...pattern]
    .map((character) =>
      character === '*' ? '.*' : character === '?' ? '.' : character.replace(/[^\w]/, '\\$&'),
    )
    .join('');
  return new RegExp(`^${source}$`, 's').test(name);
}
