/**
 * Brings a bundle to a board: into a folder named after its content, nothing twice, going on where an earlier attempt stopped. The
 * folder gets its name when the SHA-256 of all its files, computed there, are right.
 */
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { type BoardLink, shellWord } from './board-link.js';
import type { BoardBundle, BoardFile } from './bundle-files.js';

export interface UploadOptions {
  /** One small command; hashing counts as one for every 20 MB. */
  readonly commandMs: number;
  readonly uploadMs: number;
  /** Bytes of bundles that may stay. */
  readonly keepBytes: number;
  readonly signal?: AbortSignal | undefined;
  readonly onBytes: (count: number) => void;
  /** Asked before the first byte goes out, with how many will. May throw. */
  readonly beforeSending: (bytes: number) => void;
}

export interface Upload {
  /** Folder on the board, absolute. */
  readonly folder: string;
  /** 0: everything was there. */
  readonly sentBytes: number;
}

const hashedBytesPerCommand = 20e6;

/** `root`: absolute folder of embed-model on the board. Throws EM4014, EM4033 to EM4035 and what beforeSending throws. */
export async function uploadBundle(
  link: BoardLink,
  root: string,
  bundle: BoardBundle,
  options: UploadOptions,
): Promise<Upload> {
  const transfer = new Transfer(link, root, bundle, options);
  return transfer.run();
}

class Transfer {
  private readonly folder: string;
  private readonly part: string;
  private sent = 0;

  constructor(
    private readonly link: BoardLink,
    private readonly root: string,
    private readonly bundle: BoardBundle,
    private readonly options: UploadOptions,
  ) {
    this.folder = `${root}/bundles/${bundle.key}`;
    this.part = `${root}/bundles/${bundle.key}.part`;
  }

  async run(): Promise<Upload> {
    if (await this.isThere()) return { folder: this.folder, sentBytes: 0 };
    const sizes = await this.partSizes();
    const resumable = sizes.map((size, index) => (size <= this.bundle.files[index].bytes ? size : 0));
    const missing = this.bundle.bytes - resumable.reduce((sum, size) => sum + size, 0);
    await this.requireRoom(missing);
    this.options.beforeSending(missing);
    for (const [index, file] of this.bundle.files.entries()) {
      this.options.onBytes(resumable[index]);
      await this.send(file, resumable[index]);
    }
    await this.putInPlace();
    await this.prune();
    return { folder: this.folder, sentBytes: this.sent };
  }

  /** Whether the folder is complete; one that is damaged is removed. */
  private async isThere(): Promise<boolean> {
    const folder = shellWord(this.folder);
    const found = await this.command(`[ -d ${folder} ] && echo there || true`, 'look');
    if (found.trim() !== 'there') return false;
    const different = await this.wrongFiles(this.folder);
    // A look at it is a use: the oldest are pruned first.
    if (different.length === 0) await this.command(`touch ${folder}`, 'touch');
    else await this.command(`rm -rf ${folder}`, 'remove');
    return different.length === 0;
  }

  private async partSizes(): Promise<number[]> {
    const part = shellWord(this.part);
    const sizes = this.bundle.files.map(({ name }) => `{ wc -c < ${part}/${name}; } 2>/dev/null || echo 0`);
    const text = await this.command(`mkdir -p ${part} || exit 1\n${sizes.join('\n')}`, 'make the folder');
    const found = text.split('\n').map((line) => Number(line.trim() || Number.NaN));
    return this.bundle.files.map((_, index) => (Number.isSafeInteger(found[index]) ? found[index] : 0));
  }

  private async requireRoom(bytes: number): Promise<void> {
    const script = `df -Pk ${shellWord(this.part)} 2>/dev/null | tail -n 1`;
    const columns = (await this.command(script, 'df')).trim().split(/\s+/);
    const [blocks, free] = [Number(columns.at(-5)), Number(columns.at(-3)) * 1024];
    // Where df knows no size, as of an initramfs, the upload will tell.
    if (!(blocks > 0) || !Number.isFinite(free) || free >= bytes) return;
    const why = `${bytes} bytes have to go there, ${free} are free`;
    throw new EmbedError('EM4033', { where: `${this.link.address}: ${this.root}`, why });
  }

  /** Sends the rest of a file; if the whole is then wrong, what was there was: once more from the start. */
  private async send(file: BoardFile, from: number): Promise<void> {
    await this.append(file, from);
    if ((await this.wrongFiles(this.part, [file])).length === 0) return;
    if (from > 0) {
      await this.append(file, 0);
      if ((await this.wrongFiles(this.part, [file])).length === 0) return;
    }
    await this.command(`rm -f ${shellWord(`${this.part}/${file.name}`)}`, 'remove');
    throw new EmbedError('EM4034', {
      where: `${this.link.address}: ${this.part}/${file.name}`,
      why: `its SHA-256 on the board is not ${file.sha256}`,
    });
  }

  private async append(file: BoardFile, from: number): Promise<void> {
    const path = `${this.part}/${file.name}`;
    if (from === 0) await this.command(`: > ${shellWord(path)}`, 'make the file');
    if (from === file.bytes) return;
    const { uploadMs: timeoutMs, signal, onBytes } = this.options;
    await this.link.append(file.local, path, from, {
      timeoutMs,
      signal,
      onBytes: (count) => {
        this.sent += count;
        onBytes(count);
      },
    });
  }

  /** Names of the files whose hash on the board is another than here. */
  private async wrongFiles(
    folder: string,
    files: readonly BoardFile[] = this.bundle.files,
  ): Promise<string[]> {
    const names = files.map(({ name }) => name).join(' ');
    const text = await this.command(
      `cd ${shellWord(folder)} && sha256sum ${names} 2>&1 || true`,
      'sha256sum',
    );
    const isRight = ({ name, sha256 }: BoardFile) => new RegExp(`^${sha256}\\s+\\*?${name}$`, 'm').test(text);
    return files.filter((file) => !isRight(file)).map(({ name }) => name);
  }

  private async putInPlace(): Promise<void> {
    const [part, folder] = [shellWord(this.part), shellWord(this.folder)];
    const runs = this.bundle.files.some(({ name }) => name === 'em-run')
      ? `chmod 755 ${part}/em-run && `
      : '';
    await this.command(`${runs}rm -rf ${folder} && mv ${part} ${folder}`, 'rename');
  }

  /** Removes the oldest bundles beyond the limit, and what was left of uploads that never ended. */
  private async prune(): Promise<void> {
    const { key } = this.bundle;
    const limit = Math.floor(this.options.keepBytes / 1024);
    await this.command(
      `cd ${shellWord(`${this.root}/bundles`)} || exit 1
sum=0
for d in $(ls -t); do
size=$(du -sk "$d" | cut -f 1); sum=$((sum + size))
[ "$d" = ${key} ] || [ $sum -le ${limit} ] || { rm -rf "./$d"; sum=$((sum - size)); }
done`,
      'remove old bundles',
    );
  }

  private async command(script: string, what: string): Promise<string> {
    const { commandMs, signal } = this.options;
    const timeoutMs = commandMs * (1 + Math.ceil(this.bundle.bytes / hashedBytesPerCommand));
    const { code, stdout, stderr } = await this.link.run(script, { timeoutMs, signal });
    if (code === 0) return stdout;
    const why = (stderr || stdout).trim().split('\n').at(-1) || `exit code ${code}`;
    throw new EmbedError('EM4033', { where: `${this.link.address}: ${this.root} (${what})`, why });
  }
}
