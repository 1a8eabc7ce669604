/** From the settings of a board and the user's ssh_config to what a connection needs. */
import { existsSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { SshSettings } from '../boards/board.js';
import { parseSshAddress } from '../boards/select-board.js';
import { knownHostName } from './known-hosts.js';
import { expandPath, type SshConfig, sshConfigFor } from './ssh-config.js';

export interface SshTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** As known_hosts keeps it. */
  readonly hostKeyName: string;
  /** The first is the one that new keys go to. */
  readonly knownHostsFiles: readonly string[];
  /** Pinned host key, SHA256:...; null: known_hosts decides. */
  readonly fingerprint: string | null;
  /** Private key files, with whether the user named them: then they must be usable. */
  readonly identities: readonly { readonly path: string; readonly named: boolean }[];
  /** Socket of the SSH agent; null: none. */
  readonly agent: string | null;
  readonly password: string | null;
  readonly jump: SshTarget | null;
}

const defaultIdentities = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

const mostJumps = 4;

/** Throws EM4003 for a jump host that is no address, EM4015 for a password variable that is not set and for jumps without end. */
export function resolveSshTarget(settings: SshSettings, jumpsLeft = mostJumps): SshTarget {
  const config = sshConfigFor(
    settings.host,
    settings.config === undefined ? undefined : expandPath(settings.config),
  );
  const host = config.hostName ?? settings.host;
  const port = settings.port ?? config.port ?? 22;
  const jump = settings.jump ?? config.proxyJump;
  if (jump !== null && jumpsLeft === 0) {
    throw new EmbedError('EM4015', {
      where: settings.host,
      why: `more than ${mostJumps} jump hosts, or a circle`,
    });
  }
  return {
    host,
    port,
    user: settings.user ?? config.user ?? userInfo().username,
    hostKeyName: knownHostName(config.hostKeyAlias ?? host, config.hostKeyAlias === null ? port : 22),
    knownHostsFiles: knownHostsFilesOf(settings, config),
    fingerprint: settings.fingerprint ?? null,
    identities: identitiesOf(settings, config),
    agent: agentOf(settings, config),
    password: settings.passwordEnv === undefined ? null : passwordFrom(settings.passwordEnv, settings.host),
    jump: jump === null ? null : jumpTarget(jump, settings, jumpsLeft - 1),
  };
}

/** The last of A,B,C is the one next to the board, and is reached through the others. */
function jumpTarget(jump: string, { config, knownHosts }: SshSettings, jumpsLeft: number): SshTarget {
  const hops = jump.split(',');
  const address = parseSshAddress(hops.at(-1)!.trim());
  const before = hops.slice(0, -1).join(',');
  return resolveSshTarget(
    {
      ...address,
      ...(before === '' ? {} : { jump: before }),
      ...(config === undefined ? {} : { config }),
      ...(knownHosts === undefined ? {} : { knownHosts }),
    },
    jumpsLeft,
  );
}

function knownHostsFilesOf(settings: SshSettings, config: SshConfig): string[] {
  if (settings.knownHosts !== undefined) return [expandPath(settings.knownHosts)];
  const own = config.knownHostsFiles ?? [join(homedir(), '.ssh', 'known_hosts')];
  return [...own, '/etc/ssh/ssh_known_hosts'];
}

function identitiesOf({ identity }: SshSettings, config: SshConfig): SshTarget['identities'] {
  if (identity !== undefined) return [{ path: expandPath(identity), named: true }];
  const paths =
    config.identityFiles.length > 0
      ? config.identityFiles
      : defaultIdentities.map((name) => join(homedir(), '.ssh', name));
  return paths.filter((path) => existsSync(path)).map((path) => ({ path, named: false }));
}

/** A key that was named is the only one that is shown: servers end a connection after a few wrong ones. */
function agentOf({ identity }: SshSettings, { identitiesOnly, identityAgent }: SshConfig): string | null {
  if (identity !== undefined || identitiesOnly || identityAgent === 'none') return null;
  return identityAgent ?? process.env.SSH_AUTH_SOCK ?? null;
}

function passwordFrom(variable: string, host: string): string {
  const password = process.env[variable];
  if (password === undefined) {
    const why = `passwordEnv is ${variable}, which the environment does not have`;
    throw new EmbedError('EM4015', { where: host, why, fix: `set ${variable}, or remove passwordEnv` });
  }
  return password;
}
