import { createHash } from 'node:crypto';
import { BoundedFile } from './bounded-file.js';

const chunkBytes = 1 << 20;

/** The files of one checkpoint in a fixed order: opened one by one, hashed as one stream, closed together. */
export class FileSet {
  private readonly files: BoundedFile[] = [];
  private digest: string | null = null;

  /** Runs `build` on an empty set; closes whatever it opened when it throws. */
  static build<T>(build: (files: FileSet) => T): T {
    const files = new FileSet();
    try {
      return build(files);
    } catch (error) {
      files.close();
      throw error;
    }
  }

  /** Opens a file and appends it to the set. Throws EM1001. */
  open(path: string): BoundedFile {
    const file = BoundedFile.open(path);
    this.files.push(file);
    return file;
  }

  /**
   * SHA-256 (hex) of the files one after the other, as `cat FILE... | sha256sum` prints it. Computed once.
   */
  sha256(): string {
    this.digest ??= this.computeDigest();
    return this.digest;
  }

  close(): void {
    for (const file of this.files) file.close();
  }

  private computeDigest(): string {
    const hash = createHash('sha256');
    const chunk = new Uint8Array(chunkBytes);
    for (const file of this.files) {
      for (let offset = 0; offset < file.size; offset += chunkBytes) {
        const part = chunk.subarray(0, Math.min(chunkBytes, file.size - offset));
        file.read(offset, part);
        hash.update(part);
      }
    }
    return hash.digest('hex');
  }
}
