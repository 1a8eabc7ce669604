/** The logits digest: FNV-1a with 64 bits over int32 words (docs/arithmetic.md, section 8). */

const PRIME_LOW = 0x1b3; // the prime is 2^40 + 0x1b3

export class LogitsDigest {
  private high = 0xcbf29ce4;
  private low = 0x84222325;

  /** Folds in the logits of one position, in id order. */
  add(logits: Int32Array): void {
    let { high, low } = this;
    for (const word of logits) {
      low = (low ^ word) >>> 0;
      const product = low * PRIME_LOW; // below 2^41
      const carry = Math.floor(product / 0x100000000);
      high = (Math.imul(high, PRIME_LOW) + carry + (low << 8)) >>> 0;
      low = product >>> 0;
    }
    this.high = high;
    this.low = low;
  }

  /** 16 lower-case hexadecimal digits. */
  hex(): string {
    return this.high.toString(16).padStart(8, '0') + this.low.toString(16).padStart(8, '0');
  }
}
