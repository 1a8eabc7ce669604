/** SSH as a way to a board: commands by exec channels, files by SFTP or, where the board has none, through a shell. */
import { open } from 'node:fs/promises';
import type { SFTPWrapper } from 'ssh2';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { SshSettings } from '../boards/board.js';
import {
  type AppendOptions,
  type BoardLink,
  type CommandEnd,
  type CommandOptions,
  shellWord,
} from '../session/board-link.js';
import { Deadline } from '../session/deadline.js';
import { type ConnectOptions, connectSsh, type SshConnection, sshAddress } from './connect-ssh.js';
import { ExecChannel } from './exec-channel.js';
import { appendBySftp } from './sftp-append.js';
import { resolveSshTarget } from './ssh-target.js';

/** Bytes that a shell takes in one command: little to send again after a cut. */
const shellPieceBytes = 256 << 10;
/** What a channel may take to be opened, or to end when it is told to. */
const graceMs = 2000;

export class SshLink implements BoardLink {
  readonly kind = 'ssh';
  private closed = false;
  private lostBecause: string | null = null;
  /** Undefined until it was asked for; null: the board has none. */
  private sftp: SFTPWrapper | null | undefined;

  private constructor(
    readonly address: string,
    private readonly connection: SshConnection,
  ) {
    connection.client.on('error', (error) => {
      this.lostBecause ??= error.message;
      this.closed = true;
    });
    connection.client.on('close', () => {
      this.closed = true;
    });
  }

  /** Throws what connectSsh and resolveSshTarget throw. */
  static async open(settings: SshSettings, options: ConnectOptions): Promise<SshLink> {
    const target = resolveSshTarget(settings);
    return new SshLink(sshAddress(target), await connectSsh(target, options));
  }

  get broken(): boolean {
    return this.closed;
  }

  async run(script: string, { timeoutMs, signal, onStdout }: CommandOptions): Promise<CommandEnd> {
    const deadline = new Deadline(timeoutMs, signal);
    try {
      const late = () => this.timedOut(script, timeoutMs);
      const running = await deadline.race(this.open(script, onStdout), late);
      return await this.finish(running, deadline, late);
    } finally {
      deadline.clear();
    }
  }

  async append(local: string, path: string, from: number, options: AppendOptions): Promise<void> {
    const { timeoutMs, signal } = options;
    const deadline = new Deadline(timeoutMs, signal);
    const late = () => this.timedOut(`upload of ${path}`, timeoutMs);
    try {
      const sftp = await deadline.race(this.openSftp(), late);
      const sending =
        sftp === null
          ? this.appendByShell(local, path, from, options, deadline)
          : appendBySftp(sftp, local, path, from, options.onBytes, () => this.closed || deadline.over).catch(
              (error: unknown) => {
                throw this.closed ? this.lost() : error;
              },
            );
      await deadline.race(this.orLost(sending), late);
    } finally {
      deadline.clear();
    }
  }

  estimateMs(): null {
    return null;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    const gone = new Promise<void>((resolve) => this.connection.client.once('close', () => resolve()));
    this.connection.end();
    const timer = setTimeout(() => this.connection.client.destroy(), graceMs);
    await gone;
    clearTimeout(timer);
  }

  private open(script: string, onStdout?: CommandOptions['onStdout']): Promise<ExecChannel> {
    if (this.closed) return Promise.reject(this.lost());
    // The login shell of a user may be any; the scripts are for a POSIX shell.
    const command = `exec sh -c ${shellWord(script)}`;
    const opened = new Promise<ExecChannel>((resolve, reject) => {
      this.connection.client.exec(command, (error, channel) => {
        if (error === undefined) resolve(new ExecChannel(channel, onStdout));
        else reject(this.closed ? this.lost() : failed(this.address, error));
      });
    });
    return this.orLost(opened);
  }

  /** Rejects with EM4014 as soon as the connection is gone. */
  private orLost<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const onClose = () => reject(this.lost());
      if (this.closed) onClose();
      this.connection.client.once('close', onClose);
      work.then(resolve, reject).finally(() => this.connection.client.off('close', onClose));
    });
  }

  private async finish(
    running: ExecChannel,
    deadline: Deadline,
    late: () => EmbedError,
  ): Promise<CommandEnd> {
    try {
      const end = await deadline.race(this.orLost(running.end), late);
      if (end === null) throw this.lost();
      return end;
    } catch (error) {
      if (!this.closed) running.kill();
      throw error;
    }
  }

  private async openSftp(): Promise<SFTPWrapper | null> {
    if (this.sftp !== undefined) return this.sftp;
    if (this.closed) throw this.lost();
    const opened = new Promise<SFTPWrapper | null>((resolve) => {
      this.connection.client.sftp((error, sftp) => resolve(error === undefined ? sftp : null));
    });
    this.sftp = await this.orLost(opened);
    this.sftp?.on('error', () => {
      this.sftp = null;
    });
    return this.sftp;
  }

  /** Piece by piece, each waited for: what a server still held in its buffers is lost with the connection, and is no more than one piece. */
  private async appendByShell(
    local: string,
    path: string,
    from: number,
    { onBytes }: AppendOptions,
    deadline: Deadline,
  ): Promise<void> {
    const file = await open(local, 'r');
    try {
      const block = Buffer.allocUnsafe(shellPieceBytes);
      for (let at = from; !deadline.over; ) {
        const { bytesRead } = await file.read(block, 0, block.length, at);
        if (bytesRead === 0) break;
        await this.appendPiece(path, block.subarray(0, bytesRead), deadline);
        at += bytesRead;
        onBytes(bytesRead);
      }
    } finally {
      await file.close();
    }
  }

  private async appendPiece(path: string, piece: Buffer, deadline: Deadline): Promise<void> {
    const running = await this.open(`cat >> ${shellWord(path)}`);
    running.channel.end(piece);
    const late = () => this.timedOut(`upload of ${path}`, deadline.timeoutMs);
    const { code, stderr } = await this.finish(running, deadline, late);
    if (code !== 0) throw new EmbedError('EM4033', { where: `${this.address}: ${path}`, why: stderr.trim() });
  }

  private lost(): EmbedError {
    const why = this.lostBecause ?? 'the other side ended it';
    return new EmbedError('EM4014', { where: this.address, why });
  }

  private timedOut(what: string, timeoutMs: number): EmbedError {
    const first = what.trim().split('\n', 1)[0].slice(0, 120);
    return new EmbedError('EM4035', {
      where: `${this.address}: ${first}`,
      why: `stopped after ${timeoutMs / 1000} s`,
    });
  }
}

function failed(address: string, error: Error): EmbedError {
  return new EmbedError('EM4014', { where: address, why: error.message, cause: error });
}
