/** A serial port as a stream of text that can be waited for. */
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { Deadline } from '../session/deadline.js';
import { openNetworkPort, parseNetworkPort } from './network-port.js';

/** What is needed of a port; serialport's SerialPort has it. */
export interface BytePort {
  write(bytes: Buffer, done: (error: Error | null | undefined) => void): unknown;
  drain(done: (error: Error | null | undefined) => void): unknown;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: 'close' | 'error', listener: (error?: Error | null) => void): unknown;
  close(done: (error: Error | null | undefined) => void): unknown;
}

/** More than this waits for nobody: a board that floods the line must not fill memory. */
const keptCharacters = 1 << 20;

/** Opens a port for 8 data bits, no parity: a device, or one behind a network (network-port.ts). Throws EM4003, EM4020. */
export async function openPort(path: string, baudRate: number): Promise<BytePort> {
  const address = parseNetworkPort(path);
  if (address !== null) return openNetworkPort(address, baudRate);
  const { SerialPort } = await import('serialport');
  // SerialPort.list() is never asked: it ends the process where udevadm is missing.
  const port = new SerialPort({ path, baudRate, autoOpen: false });
  await new Promise<void>((resolve, reject) => {
    port.open((error) => {
      if (error) reject(new EmbedError('EM4020', { where: path, why: error.message, cause: error }));
      else resolve();
    });
  });
  return port;
}

export class SerialConsole {
  /** Latin-1: a character a byte. */
  private pending = '';
  private readonly waiting = new Set<() => void>();
  private lastHeard = performance.now();
  private lost: string | null = null;

  constructor(
    readonly path: string,
    private readonly port: BytePort,
  ) {
    port.on('data', (chunk) => {
      this.pending = (this.pending + chunk.toString('latin1')).slice(-keptCharacters);
      this.lastHeard = performance.now();
      this.wake();
    });
    const end = (error?: Error | null) => {
      this.lost ??= error?.message ?? 'the port was closed';
      this.wake();
    };
    port.on('close', end);
    port.on('error', end);
  }

  get broken(): boolean {
    return this.lost !== null;
  }

  /** What came and was not taken yet. */
  get text(): string {
    return this.pending;
  }

  /** Milliseconds since something came. */
  get quietMs(): number {
    return performance.now() - this.lastHeard;
  }

  /** Takes the first `count` characters away. */
  take(count = this.pending.length): string {
    const taken = this.pending.slice(0, count);
    this.pending = this.pending.slice(count);
    return taken;
  }

  /** Sends, and waits until it is on the line. Throws EM4014. */
  async send(bytes: Buffer | string): Promise<void> {
    if (this.lost !== null) throw this.lostError();
    const buffer = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
    await new Promise<void>((resolve, reject) => {
      const fail = (error: Error) =>
        reject(this.lost === null ? this.lostError(error.message) : this.lostError());
      this.port.write(buffer, (error) => {
        if (error) fail(error);
        else this.port.drain((late) => (late ? fail(late) : resolve()));
      });
    });
  }

  /** Waits until `found` returns something for the text so far; null when the time is over. Throws EM4014, the signal's reason. */
  async until<T>(
    found: (text: string) => T | null,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<T | null> {
    const deadline = new Deadline(timeoutMs, signal);
    try {
      for (;;) {
        const result = found(this.pending);
        if (result !== null) return result;
        if (this.lost !== null) throw this.lostError();
        if (deadline.over) {
          signal?.throwIfAborted();
          return null;
        }
        await deadline.race(this.news(), () => new Error('late')).catch(() => {});
      }
    } finally {
      deadline.clear();
    }
  }

  close(): Promise<void> {
    if (this.lost !== null) return Promise.resolve();
    return new Promise((resolve) => this.port.close(() => resolve()));
  }

  private news(): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.waiting.delete(wake);
        resolve();
      };
      this.waiting.add(wake);
    });
  }

  private wake(): void {
    for (const wake of this.waiting) wake();
  }

  private lostError(why = this.lost ?? ''): EmbedError {
    return new EmbedError('EM4014', { where: this.path, why });
  }
}

const [esc, bell] = [27, 7].map((code) => String.fromCharCode(code));
/** CSI and OSC sequences, other escapes (ECMA-48, 5.4 and 5.3). */
const escapes = new RegExp(`${esc}(?:\\[[0-?]*[ -/]*[@-~]|\\][^${bell}${esc}]*${bell}?|[@-Z_^])`, 'g');

/** Text as a terminal would show it: no escape sequences, no carriage returns, no bells. */
export function cleanTerminalText(text: string): string {
  return text.replace(escapes, '').replace(/(?![\t\n])\p{Cc}/gu, '');
}
