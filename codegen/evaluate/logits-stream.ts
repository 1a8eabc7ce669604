/** Cuts a stream of bytes into logits: int32[vocabSize] a position, little-endian, as em-run --logits writes them. */
export class LogitsStream {
  /** One position; hosts are little-endian, as the stream is. */
  readonly #logits: Int32Array;
  readonly #bytes: Uint8Array;
  #filled = 0;

  /** `onPosition` gets each position's logits when they are complete, in an array that the next position reuses. */
  constructor(
    vocabSize: number,
    readonly onPosition: (logits: Int32Array) => void,
  ) {
    this.#logits = new Int32Array(vocabSize);
    this.#bytes = new Uint8Array(this.#logits.buffer);
  }

  /** Bytes of the position that has begun and is not complete. */
  get pending(): number {
    return this.#filled;
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const count = Math.min(chunk.length - at, this.#bytes.length - this.#filled);
      this.#bytes.set(chunk.subarray(at, at + count), this.#filled);
      at += count;
      this.#filled += count;
      if (this.#filled === this.#bytes.length) {
        this.#filled = 0;
        this.onPosition(this.#logits);
      }
    }
  }
}
