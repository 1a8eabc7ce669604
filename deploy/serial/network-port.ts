/** A serial port behind a network: raw TCP (tcp:HOST:PORT), or Telnet with the COM port option (rfc2217:HOST:PORT). */
import { connect, type Socket } from 'node:net';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { BytePort } from './serial-console.js';
import { escapeTelnet, TelnetDecoder, telnetGreeting } from './telnet.js';

const connectMs = 20_000;

export interface NetworkAddress {
  readonly host: string;
  readonly port: number;
  readonly telnet: boolean;
}

/** Null where the name is that of a device. Throws EM4003 for one that begins as an address and is none. */
export function parseNetworkPort(name: string): NetworkAddress | null {
  const scheme = /^(tcp|rfc2217):/.exec(name)?.[1];
  if (scheme === undefined) return null;
  const match = /^\w+:(?:\/\/)?(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(name);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65535) {
    throw new EmbedError('EM4003', { where: name, why: `a port behind a network is ${scheme}:HOST:PORT` });
  }
  return { host: match[1] ?? match[2], port, telnet: scheme === 'rfc2217' };
}

/** Throws EM4020. */
export function openNetworkPort({ host, port, telnet }: NetworkAddress, baud: number): Promise<BytePort> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.setNoDelay(true);
    const refuse = (why: string, cause?: unknown) => {
      socket.destroy();
      reject(new EmbedError('EM4020', { where: `${host}:${port}`, why, cause }));
    };
    socket.setTimeout(connectMs, () => refuse(`no answer within ${connectMs / 1000} s`));
    const onError = (error: Error) => refuse(error.message, error);
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.off('error', onError);
      resolve(new NetworkPort(socket, telnet ? baud : null));
    });
  });
}

class NetworkPort implements BytePort {
  private readonly decoder: TelnetDecoder | null;

  /** `baud`: null for raw bytes. */
  constructor(
    private readonly socket: Socket,
    baud: number | null,
  ) {
    this.decoder = baud === null ? null : new TelnetDecoder(baud, (bytes) => socket.write(bytes));
    if (this.decoder !== null) socket.write(telnetGreeting);
  }

  write(bytes: Buffer, done: (error: Error | null | undefined) => void): void {
    this.socket.write(this.decoder === null ? bytes : escapeTelnet(bytes), done);
  }

  /** A network tells when it has taken bytes, which write waits for; what the far line still holds nobody here knows. */
  drain(done: (error: Error | null | undefined) => void): void {
    done(null);
  }

  on(
    event: 'data' | 'close' | 'error',
    listener: ((chunk: Buffer) => void) & ((error?: Error | null) => void),
  ): void {
    if (event === 'error') this.socket.on('error', listener);
    else if (event === 'close') this.socket.on('close', () => listener(null));
    else {
      this.socket.on('data', (chunk) => {
        const data = this.decoder === null ? chunk : this.decoder.push(chunk);
        if (data.length > 0) listener(data);
      });
    }
  }

  close(done: (error: Error | null | undefined) => void): void {
    this.socket.once('close', () => done(null));
    this.socket.destroy();
  }
}
