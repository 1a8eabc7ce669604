/** A serial console as a way to a board: everything with checksums, and asked for again where they are wrong. */
import { open } from 'node:fs/promises';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { SerialSettings } from '../boards/board.js';
import type { AppendOptions, BoardLink, CommandEnd, CommandOptions } from '../session/board-link.js';
import { AgentClient } from './agent-client.js';
import { type BoardReceiver, receivedName, receiverOf, receiverScript } from './board-receiver.js';
import { type LoginOptions, loginAtConsole } from './console-login.js';
import { cancelReception, sendXmodem } from './send-xmodem.js';
import { openPort, SerialConsole } from './serial-console.js';
import { shortHash } from './short-hash.js';

const defaultBaud = 115_200;
/** Start bit, eight data bits, stop bit. */
const bitsPerByte = 10;
/** Of what the line could carry; the rest is waiting for answers. */
const usableShare = 0.8;

/** Lines that every terminal driver takes in one piece (MAX_CANON is 255 at least, 4095 on Linux). */
const linePayload = 600;
const fetchBytes = 1400;
/** A chunk fits the buffer of a terminal (N_TTY_BUF_SIZE, 4096): lines have no flow control, and the board may read late. */
const chunkBytes = { least: 256, first: 2048, most: 3584 } as const;
const mostChunkTries = 12;
/** Failures in a row after which raw bytes are given up for text: some lines take bytes for themselves. */
const rawTries = 5;
const base64ChunkBytes = 1200;
/** What a receiver of the board takes at once: after a cut no more is sent again. */
const receivedBytes = 128 << 10;
const mostReceptions = 3;

export class SerialLink implements BoardLink {
  readonly kind = 'serial';
  private rawFailures = 0;
  private chunk: number = chunkBytes.first;
  private busy = false;

  private constructor(
    readonly address: string,
    private readonly console: SerialConsole,
    private readonly agent: AgentClient,
    private readonly msPerByte: number,
    /** Takes uploads; null: they go in chunks. */
    private readonly receiver: BoardReceiver | null,
  ) {}

  /** Throws EM4015, EM4020 to EM4022, and EM4031 where the board has no receiver and serial.upload wants one. */
  static async open(settings: SerialSettings, options: LoginOptions): Promise<SerialLink> {
    const baud = settings.baud ?? defaultBaud;
    const console = new SerialConsole(settings.port, await openPort(settings.port, baud));
    try {
      await loginAtConsole(console, settings, options);
      const msPerByte = (1000 * bitsPerByte) / baud;
      const agent = new AgentClient(console, msPerByte);
      await agent.install(options.signal);
      const link = (receiver: BoardReceiver | null) =>
        new SerialLink(`${settings.port}@${baud}`, console, agent, msPerByte, receiver);
      if (settings.upload !== 'ymodem') return link(null);
      return link(await link(null).findReceiver(options));
    } catch (error) {
      await console.close();
      throw error;
    }
  }

  get broken(): boolean {
    return this.console.broken;
  }

  async run(script: string, { timeoutMs, signal, onStdout }: CommandOptions): Promise<CommandEnd> {
    await this.agent.ask('C', signal);
    const bytes = Buffer.from(`${script}\n`);
    for (let at = 0; at < bytes.length; at += linePayload) {
      await this.agent.ask(`L ${bytes.subarray(at, at + linePayload).toString('base64')}`, signal);
    }
    const shown: Buffer[] = [];
    const onOutput = (chunk: Buffer) => {
      shown.push(chunk);
      onStdout?.(chunk);
    };
    const streams = onStdout !== undefined;
    const answer = await this.whileRunning(timeoutMs, signal, () =>
      this.agent.askLong(`R ${streams ? 't' : 'f'}`, { timeoutMs, signal, ...(streams ? { onOutput } : {}) }),
    );
    const [exit, sum, ...sizes] = answer.split(' ');
    const [code, size, errorSize] = [exit, ...sizes].map(Number);
    const stderr =
      errorSize > 0 ? (await this.fetch('e', Math.min(errorSize, 4096), signal)).toString('utf8') : '';
    const live = Buffer.concat(shown);
    let stdout: Buffer = Buffer.alloc(0);
    if (!streams || live.length !== size || shortHash(live) !== sum) {
      // Kernel messages came in between, or bytes were lost: once more, with checksums.
      stdout = await this.fetch('o', size, signal, sum);
      onStdout?.(stdout);
    }
    return {
      code: code > 128 && code < 160 ? null : code,
      signal: code > 128 && code < 160 ? (signalNames[code - 128] ?? `signal ${code - 128}`) : null,
      stdout: streams ? '' : stdout.toString('utf8'),
      stderr,
    };
  }

  async append(local: string, path: string, from: number, options: AppendOptions): Promise<void> {
    const { timeoutMs, signal, onBytes } = options;
    const until = performance.now() + timeoutMs;
    const file = await open(local, 'r');
    try {
      let tries = 0;
      const most = this.receiver === null ? mostChunkTries : mostReceptions;
      for (let at = from; ; ) {
        const block = Buffer.allocUnsafe(this.partBytes);
        const { bytesRead } = await file.read(block, 0, block.length, at);
        if (bytesRead === 0) return;
        if (performance.now() > until) throw this.uploadLate(timeoutMs);
        if (tries === most) throw this.tooNoisy(most);
        tries += 1;
        if (!(await this.sendPart(block.subarray(0, bytesRead), until, signal))) continue;
        const done = await this.agent.ask(`A ${Buffer.from(path).toString('base64')}`, signal);
        if (done !== 'ok') {
          const why = (await this.fetch('e', 400, signal)).toString('utf8').trim();
          throw new EmbedError('EM4033', { where: `${this.address}: ${path}`, why });
        }
        at += bytesRead;
        tries = 0;
        onBytes(bytesRead);
      }
    } finally {
      await file.close();
    }
  }

  estimateMs(bytes: number): number {
    return (bytes * this.msPerByte) / usableShare;
  }

  async close(): Promise<void> {
    if (this.console.broken) return;
    try {
      if (this.busy) await this.agent.interrupt();
      await this.agent.leave();
      await this.console.until(() => null, 300);
    } catch {
      // Whoever cannot be told goodbye is left all the same.
    }
    await this.console.close();
  }

  private get takesRaw(): boolean {
    return this.rawFailures < rawTries;
  }

  private get partBytes(): number {
    if (this.receiver !== null) return receivedBytes;
    return this.takesRaw ? this.chunk : base64ChunkBytes;
  }

  /** Whether it is there with the right checksum. `until`: when performance.now() makes it too late. */
  private async sendPart(part: Buffer, until: number, signal?: AbortSignal): Promise<boolean> {
    const { receiver } = this;
    if (receiver === null) return this.sendChunk(part, signal);
    const answer = await this.agent.askLong(`Y ${part.length} ${receiver.command}`, {
      ...{ timeoutMs: 30_000, signal },
      onBegin: async () => {
        await sendXmodem(this.console, part, {
          ...{ variant: receiver.variant, name: receivedName, msPerByte: this.msPerByte, signal },
          ...{ timeoutMs: until - performance.now(), onBytes: () => {} },
        });
      },
      onSilence: () => cancelReception(this.console),
    });
    return answer === shortHash(part);
  }

  private async findReceiver({ timeoutMs, signal }: LoginOptions): Promise<BoardReceiver> {
    const receiver = receiverOf((await this.run(receiverScript, { timeoutMs, signal })).stdout);
    if (receiver !== null) return receiver;
    throw new EmbedError('EM4031', {
      where: this.address,
      why: 'serial.upload is ymodem, and there is neither rb nor rx',
      fix: 'install lrzsz on the board, or leave serial.upload out',
    });
  }

  /** Whether the chunk is there with the right checksum. Chunks become smaller on lines that lose bytes. */
  private async sendChunk(chunk: Buffer, signal?: AbortSignal): Promise<boolean> {
    const isRaw = this.takesRaw;
    const answer = isRaw
      ? await this.sendRaw(chunk, signal)
      : await this.agent.ask(`B ${chunk.toString('base64')}`, signal);
    const isThere = answer === shortHash(chunk);
    if (isRaw) this.rawFailures = isThere ? 0 : this.rawFailures + 1;
    this.chunk = isThere
      ? Math.min(chunkBytes.most, this.chunk * 2)
      : Math.max(chunkBytes.least, this.chunk >> 1);
    return isThere;
  }

  private async sendRaw(chunk: Buffer, signal?: AbortSignal): Promise<string | null> {
    const lineMs = chunk.length * this.msPerByte;
    let sent = false;
    const filler = setInterval(() => {
      // Bytes were lost: without others in their place the board waits for ever. As lines they mean nothing.
      if (sent) void this.console.send('\n'.repeat(chunkBytes.least)).catch(() => {});
    }, 2000 + lineMs);
    try {
      return await this.agent.askLong(`W ${chunk.length}`, {
        timeoutMs: 20_000 + 6 * lineMs + chunk.length * 10,
        signal,
        onBegin: async () => {
          await this.console.send(chunk);
          sent = true;
        },
        onSilence: () => this.console.send('\n'.repeat(chunk.length)),
      });
    } finally {
      clearInterval(filler);
    }
  }

  /** Work of the board that is ended there when the time is over or the signal says so. Throws EM4035. */
  private async whileRunning(
    timeoutMs: number,
    signal: AbortSignal | undefined,
    work: () => Promise<string | null>,
  ): Promise<string> {
    this.busy = true;
    try {
      const answer = await work();
      if (answer !== null) {
        this.busy = false;
        return answer;
      }
    } catch (error) {
      if (signal?.aborted) await this.stop();
      throw error;
    }
    await this.stop();
    throw new EmbedError('EM4035', { where: this.address, why: `stopped after ${timeoutMs / 1000} s` });
  }

  private async stop(): Promise<void> {
    await this.agent.interrupt();
    await this.console.until(() => null, 500);
    this.busy = false;
  }

  private uploadLate(timeoutMs: number): EmbedError {
    const why = `the upload was stopped after ${timeoutMs / 1000} s`;
    return new EmbedError('EM4035', { where: this.address, why });
  }

  private tooNoisy(tries: number): EmbedError {
    const why = `a chunk did not arrive whole in ${tries} attempts`;
    return new EmbedError('EM4022', { where: this.address, why });
  }

  /** A file of the script's folder, in pieces with checksums. `sum`: what all of it must have. Throws EM4022. */
  private async fetch(name: string, size: number, signal?: AbortSignal, sum?: string): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let at = 0; at < size; at += fetchBytes) {
      const answer = await this.agent.ask(`G ${name} ${at + 1} ${Math.min(fetchBytes, size - at)}`, signal);
      pieces.push(Buffer.from(answer, 'base64'));
    }
    const whole = Buffer.concat(pieces);
    if (sum === undefined || shortHash(whole) === sum) return whole;
    throw new EmbedError('EM4022', { where: this.address, why: 'what a command said cannot be read back' });
  }
}

const signalNames: Readonly<Record<number, string>> = {
  2: 'SIGINT',
  4: 'SIGILL',
  6: 'SIGABRT',
  7: 'SIGBUS',
  9: 'SIGKILL',
  11: 'SIGSEGV',
  15: 'SIGTERM',
};
