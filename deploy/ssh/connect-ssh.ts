/** Connects and logs in by SSH, through jump hosts where there are any. */
import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { AnyAuthMethod, Client, ConnectConfig } from 'ssh2';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { hostKeyCheck } from './host-key-check.js';
import type { SshTarget } from './ssh-target.js';

export interface ConnectOptions {
  /** Until somebody is logged in, jump hosts included. */
  readonly timeoutMs: number;
  /** Whether the key of a host that is not known yet is taken and written down. */
  readonly acceptNew: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** A connection with those that it goes through. */
export interface SshConnection {
  readonly client: Client;
  /** Ends it and what it goes through. */
  end(): void;
}

/** user@host:port, for people. */
export const sshAddress = ({ user, host, port }: SshTarget): string =>
  `${user}@${host.includes(':') ? `[${host}]` : host}${port === 22 ? '' : `:${port}`}`;

/** Throws EM4010 to EM4013 and EM4015. Nothing stays open where it throws. */
export async function connectSsh(target: SshTarget, options: ConnectOptions): Promise<SshConnection> {
  const deadline = performance.now() + options.timeoutMs;
  const left = () => Math.max(1, deadline - performance.now());
  const jump = target.jump === null ? null : await connectSsh(target.jump, options);
  let socket: Duplex | undefined;
  try {
    socket =
      jump === null
        ? await openSocket(target, left(), options.signal)
        : await openThrough(jump, target, left());
    const client = await login(socket, target, options, left());
    const end = () => {
      client.end();
      jump?.end();
    };
    return { client, end };
  } catch (error) {
    socket?.destroy();
    jump?.end();
    throw error;
  }
}

function openSocket(target: SshTarget, timeoutMs: number, signal?: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ host: target.host, port: target.port });
    // Else the small packets of SFTP wait for each other: 8 MB to a board near by take 0.1 s instead of 40.
    socket.setNoDelay(true);
    const fail = (error: unknown) => {
      finish();
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(
      () => fail(unreachable(target, `no answer within ${seconds(timeoutMs)}`)),
      timeoutMs,
    );
    const onAbort = () => fail(signal?.reason);
    const onError = (error: Error) => fail(unreachable(target, error.message, error));
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.off('error', onError);
    };
    socket.once('error', onError);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) return onAbort();
    socket.once('connect', () => {
      finish();
      resolve(socket);
    });
  });
}

function openThrough({ client }: SshConnection, target: SshTarget, timeoutMs: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(unreachable(target, `the jump host did not reach it within ${seconds(timeoutMs)}`)),
      timeoutMs,
    );
    client.forwardOut('127.0.0.1', 0, target.host, target.port, (error, stream) => {
      clearTimeout(timer);
      if (error === undefined) resolve(stream);
      else reject(unreachable(target, `the jump host says: ${error.message}`, error));
    });
  });
}

/** Boards under load answer late; after a minute of silence nobody is there any more. */
const keepalive = { keepaliveInterval: 10_000, keepaliveCountMax: 6 } as const;

async function login(
  socket: Duplex,
  target: SshTarget,
  { acceptNew, signal }: ConnectOptions,
  timeoutMs: number,
): Promise<Client> {
  const { Client: SshClient } = (await import('ssh2')).default;
  const check = hostKeyCheck(target, acceptNew);
  const methods = await authMethods(target);
  const client = new SshClient();
  let refused: EmbedError | null = null;
  const tried: string[] = [];
  const config: ConnectConfig = {
    sock: socket as Socket,
    username: target.user,
    readyTimeout: timeoutMs,
    ...keepalive,
    algorithms: { serverHostKey: hostKeyAlgorithms(check.wantedTypes) },
    hostVerifier: (key: Buffer) => {
      refused = check.refusal(key);
      return refused === null;
    },
    authHandler: (_left, _partial, next) => {
      const method = methods.shift();
      if (method !== undefined) tried.push(method.type);
      next(method ?? (false as unknown as AnyAuthMethod));
    },
  };
  return new Promise((resolve, reject) => {
    const onAbort = () => fail(signal?.reason);
    const fail = (error: unknown) => {
      signal?.removeEventListener('abort', onAbort);
      client.destroy();
      reject(error);
    };
    client.once('ready', () => {
      signal?.removeEventListener('abort', onAbort);
      resolve(client);
    });
    client.on('error', (error: Error & { level?: string }) =>
      fail(refused ?? loginError(target, error, tried)),
    );
    client.once('close', () =>
      fail(refused ?? unreachable(target, 'it ended the connection before the login')),
    );
    signal?.addEventListener('abort', onAbort, { once: true });
    client.connect(config);
  });
}

/** In the order of preference: key types that known_hosts has of this host go first. */
function hostKeyAlgorithms(
  wantedTypes: readonly string[],
): NonNullable<NonNullable<ConnectConfig['algorithms']>['serverHostKey']> {
  const all = [
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'rsa-sha2-512',
    'rsa-sha2-256',
    'ssh-rsa',
  ] as const;
  const isWanted = (name: string) => wantedTypes.includes(name.startsWith('rsa-') ? 'ssh-rsa' : name);
  return [...all.filter((name) => isWanted(name)), ...all.filter((name) => !isWanted(name))];
}

/** What to try, one after the other: the agent, key files, the password in both forms that servers ask for it. */
async function authMethods(target: SshTarget): Promise<AnyAuthMethod[]> {
  const { utils } = (await import('ssh2')).default;
  const { user: username, password, agent } = target;
  const methods: AnyAuthMethod[] = agent === null ? [] : [{ type: 'agent', username, agent }];
  for (const { path, named } of target.identities) {
    const key = utils.parseKey(readKeyFile(path));
    if (key instanceof Error) {
      if (named) throw new EmbedError('EM4015', { where: path, why: key.message });
      continue; // one with a passphrase, most likely: the agent has it, or it is not wanted here
    }
    methods.push({ type: 'publickey', username, key: Array.isArray(key) ? key[0] : key });
  }
  if (password !== null) {
    methods.push({ type: 'password', username, password });
    methods.push({
      type: 'keyboard-interactive',
      username,
      prompt: (_name, _instructions, _language, prompts, finish) => finish(prompts.map(() => password)),
    });
  }
  return methods;
}

function readKeyFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new EmbedError('EM4015', {
      where: path,
      why: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
}

function loginError(
  target: SshTarget,
  error: Error & { level?: string },
  tried: readonly string[],
): EmbedError {
  if (error.level !== 'client-authentication') return unreachable(target, error.message, error);
  const ways =
    tried.length === 0
      ? 'there was no key and no password to try'
      : `tried: ${[...new Set(tried)].join(', ')}`;
  return new EmbedError('EM4011', { where: sshAddress(target), why: ways, cause: error });
}

function unreachable(target: SshTarget, why: string, cause?: unknown): EmbedError {
  return new EmbedError('EM4010', { where: sshAddress(target), why, cause });
}

const seconds = (ms: number) => `${Math.round(ms / 100) / 10} s`;
