/** One command on its channel, listened to from the first moment: a short one is over before a promise is looked at. */
import type { ClientChannel } from 'ssh2';
import type { CommandEnd } from '../session/board-link.js';

const keptStdoutBytes = 4 << 20;
const keptStderrBytes = 16 << 10;

export class ExecChannel {
  /** Resolves when the channel is closed; null: without a word on how the command ended, as when the connection is lost. */
  readonly end: Promise<CommandEnd | null>;
  private readonly stdout: Buffer[] = [];
  private keptBytes = 0;
  private stderr = Buffer.alloc(0);
  private exit: { readonly code: number | null; readonly signal: string | null } | null = null;

  /** To be made where the channel is handed over, not later. */
  constructor(
    readonly channel: ClientChannel,
    onStdout?: (chunk: Buffer) => void,
  ) {
    channel.on('data', (chunk: Buffer) => {
      if (onStdout === undefined) this.keep(chunk);
      else onStdout(chunk);
    });
    channel.stderr.on('data', (chunk: Buffer) => {
      this.stderr = Buffer.concat([this.stderr, chunk]).subarray(-keptStderrBytes);
    });
    channel.on('exit', (code: number | null, name?: string) => {
      this.exit = { code, signal: name === undefined ? null : `SIG${name}` };
    });
    this.end = new Promise((resolve) => {
      channel.on('close', () => resolve(this.ended()));
    });
  }

  /** Ends the command, as far as the server lets us. */
  kill(): void {
    this.channel.signal('KILL'); // servers that do not know it ignore it
    this.channel.close();
  }

  private keep(chunk: Buffer): void {
    if (this.keptBytes >= keptStdoutBytes) return;
    this.keptBytes += chunk.length;
    this.stdout.push(chunk);
  }

  private ended(): CommandEnd | null {
    if (this.exit === null) return null;
    const [stdout, stderr] = [Buffer.concat(this.stdout), this.stderr].map((bytes) => bytes.toString('utf8'));
    return { ...this.exit, stdout, stderr };
  }
}
