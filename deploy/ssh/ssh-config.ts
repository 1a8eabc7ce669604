/** The part of ssh_config(5) that a connection to a board needs: Host blocks, Include, and a few settings. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { matchesPattern } from './known-hosts.js';

export interface SshConfig {
  readonly hostName: string | null;
  readonly port: number | null;
  readonly user: string | null;
  /** In the order of the file; ~ and % tokens replaced. */
  readonly identityFiles: readonly string[];
  readonly identitiesOnly: boolean;
  /** Socket of the agent; 'none' for no agent; null: SSH_AUTH_SOCK. */
  readonly identityAgent: string | null;
  readonly knownHostsFiles: readonly string[] | null;
  readonly hostKeyAlias: string | null;
  /** null: none. */
  readonly proxyJump: string | null;
}

const mostBytes = 1 << 20;
const mostIncludes = 16;

interface Setting {
  readonly key: string;
  readonly value: string;
}

/** What `file` says of `host`, the first value of a setting being the one that counts. Nothing where it cannot be read. */
export function sshConfigFor(host: string, file = join(homedir(), '.ssh', 'config')): SshConfig {
  const settings = settingsFor(host, file, mostIncludes);
  const first = (key: string) => settings.find((setting) => setting.key === key)?.value ?? null;
  const hostName = first('hostname')?.replaceAll('%h', host) ?? null;
  const user = first('user');
  const expand = (path: string) => expandPath(path, { h: hostName ?? host, r: user ?? '', n: host });
  const port = Number(first('port') ?? Number.NaN);
  const knownHosts = first('userknownhostsfile');
  const agent = first('identityagent');
  const jump = first('proxyjump');
  return {
    hostName,
    port: Number.isInteger(port) && port > 0 && port < 65536 ? port : null,
    user,
    identityFiles: settings.filter(({ key }) => key === 'identityfile').map(({ value }) => expand(value)),
    identitiesOnly: first('identitiesonly')?.toLowerCase() === 'yes',
    identityAgent: agent === null ? null : agent.toLowerCase() === 'none' ? 'none' : expand(agent),
    knownHostsFiles: knownHosts === null ? null : knownHosts.split(/\s+/).map(expand),
    hostKeyAlias: first('hostkeyalias'),
    proxyJump: jump === null || jump.toLowerCase() === 'none' ? null : jump,
  };
}

/** Names of Host lines that stand for one host: no patterns. */
export function sshAliases(file = join(homedir(), '.ssh', 'config')): string[] {
  const names = readLines(file)
    .filter(({ key }) => key === 'host')
    .flatMap(({ value }) => value.split(/\s+/))
    .filter((name) => !/[*?!]/.test(name));
  return [...new Set(names)];
}

/** Replaces a leading ~ and the tokens %d, %h, %r, %n, %u and %%. */
export function expandPath(path: string, tokens: Readonly<Record<string, string>> = {}): string {
  const all: Readonly<Record<string, string>> = {
    d: homedir(),
    u: process.env.USER ?? '',
    '%': '%',
    ...tokens,
  };
  const home = path === '~' || path.startsWith('~/') ? homedir() + path.slice(1) : path;
  return home.replace(/%(.)/g, (token, name: string) => all[name] ?? token);
}

function settingsFor(host: string, file: string, includesLeft: number): Setting[] {
  const found: Setting[] = [];
  let applies = true;
  for (const setting of readLines(file)) {
    if (setting.key === 'host') applies = matchesHostLine(setting.value, host);
    // What else Match can ask for is not known here, and a setting for other circumstances must not be taken.
    else if (setting.key === 'match') applies = setting.value.toLowerCase() === 'all';
    else if (!applies) continue;
    else if (setting.key === 'include') {
      if (includesLeft === 0) continue;
      for (const included of includedFiles(setting.value, file)) {
        found.push(...settingsFor(host, included, includesLeft - 1));
      }
    } else found.push(setting);
  }
  return found;
}

function matchesHostLine(patterns: string, host: string): boolean {
  const words = patterns.split(/\s+/);
  const matches = (pattern: string) => matchesPattern(pattern.toLowerCase(), host.toLowerCase());
  if (words.some((word) => word.startsWith('!') && matches(word.slice(1)))) return false;
  return words.some((word) => !word.startsWith('!') && matches(word));
}

function includedFiles(value: string, from: string): string[] {
  return value.split(/\s+/).flatMap((word) => {
    const path = expandPath(word);
    const absolute = isAbsolute(path) ? path : join(dirname(from), path);
    try {
      const names = readdirSync(dirname(absolute)).filter((name) => matchesPattern(basename(absolute), name));
      return names.sort().map((name) => join(dirname(absolute), name));
    } catch {
      return []; // as OpenSSH: what is not there is not included
    }
  });
}

function readLines(file: string): Setting[] {
  let text: string;
  try {
    const { size } = statSync(file);
    if (size > mostBytes) return [];
    text = readFileSync(file, 'utf8');
  } catch {
    return [];
  }
  return text.split('\n').flatMap((raw) => {
    const match = /^\s*([A-Za-z][A-Za-z0-9]*)(?:\s*=\s*|\s+)(.+?)\s*$/.exec(raw);
    if (match === null) return [];
    return [{ key: match[1].toLowerCase(), value: match[2].replace(/^"(.*)"$/, '$1') }];
  });
}
