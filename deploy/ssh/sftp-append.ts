/** Sends a file by SFTP, many writes under way at once. */
import { type FileHandle, open } from 'node:fs/promises';
import type { SFTPWrapper } from 'ssh2';
import { EmbedError } from '../../codegen/diagnostics/error.js';

/** What every server takes in one write (draft-ietf-secsh-filexfer-02, 34000 bytes a packet). */
const writeBytes = 32_000;
/** Read from the file at a time. */
const blockBytes = 8 * writeBytes;
/** Bytes that may be under way: enough for 50 MB/s over 10 ms, and little to send again after a cut. */
const windowBytes = 2 * blockBytes;

/**
 * Appends the bytes of `local` from `from` on to `path`, which has `from` bytes. Servers write in the order of the requests, so
 * that what stands there after a cut is a prefix. Throws EM4033 with the server's reason.
 */
export async function appendBySftp(
  sftp: SFTPWrapper,
  local: string,
  path: string,
  from: number,
  onBytes: (count: number) => void,
  isOver: () => boolean,
): Promise<void> {
  const handle = await new Promise<Buffer>((resolve, reject) => {
    sftp.open(path, from === 0 ? 'w' : 'r+', (error, opened) =>
      error === undefined ? resolve(opened) : reject(refused(path, error)),
    );
  });
  const file = await open(local, 'r');
  try {
    await new Sending(sftp, handle, path, onBytes, isOver).send(file, from);
  } finally {
    await file.close();
    await new Promise<void>((resolve) => {
      if (isOver()) resolve();
      else sftp.close(handle, () => resolve());
    });
  }
}

class Sending {
  private underWay = 0;
  private failure: Error | null = null;
  private wake: (() => void) | null = null;

  constructor(
    private readonly sftp: SFTPWrapper,
    private readonly handle: Buffer,
    private readonly path: string,
    private readonly onBytes: (count: number) => void,
    private readonly isOver: () => boolean,
  ) {}

  async send(file: FileHandle, from: number): Promise<void> {
    for (let at = from; !this.stopped; ) {
      const block = Buffer.allocUnsafe(blockBytes);
      const { bytesRead } = await file.read(block, 0, blockBytes, at);
      if (bytesRead === 0) break;
      for (let offset = 0; offset < bytesRead; offset += writeBytes) {
        this.write(block.subarray(offset, Math.min(bytesRead, offset + writeBytes)), at + offset);
      }
      at += bytesRead;
      await this.until(() => this.underWay <= windowBytes - blockBytes);
    }
    await this.until(() => this.underWay === 0);
    if (this.failure !== null) throw refused(this.path, this.failure);
  }

  private get stopped(): boolean {
    return this.failure !== null || this.isOver();
  }

  private write(chunk: Buffer, at: number): void {
    this.underWay += chunk.length;
    this.sftp.write(this.handle, chunk, 0, chunk.length, at, (error) => {
      this.underWay -= chunk.length;
      if (error === undefined || error === null) this.onBytes(chunk.length);
      else this.failure ??= error;
      this.wake?.();
    });
  }

  private async until(isSo: () => boolean): Promise<void> {
    while (!isSo() && !this.stopped) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        setTimeout(resolve, 250).unref(); // isOver() wakes nobody
      });
    }
  }
}

function refused(path: string, error: Error): EmbedError {
  return new EmbedError('EM4033', { where: path, why: error.message, cause: error });
}
