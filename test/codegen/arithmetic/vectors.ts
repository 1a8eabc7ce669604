/** Seeded integer vectors for tests: the same on every run, with the ends of their ranges in them. */
import { Pcg32 } from '../../../codegen/arithmetic/pcg32.js';

const INT32_MAX = 0x7fffffff;

export class Vectors {
  readonly #random: Pcg32;

  constructor(seed: bigint) {
    this.#random = new Pcg32(seed);
  }

  /** An integer in [low, high]. */
  between(low: number, high: number): number {
    return low + this.#random.nextBelow(high - low + 1);
  }

  /** An int32 of at most so many bits and either sign, its size and not its value evenly spread. */
  int32(bits = 31): number {
    const magnitude = this.#random.nextU32() >>> (32 - this.between(1, bits));
    return this.#random.nextU32() % 2 === 0 ? magnitude : 0 - magnitude;
  }

  uint64(bits: number): bigint {
    const wide = (BigInt(this.#random.nextU32()) << 32n) | BigInt(this.#random.nextU32());
    return wide >> BigInt(64 - bits);
  }

  /** count values of at most so many bits, evenly spread in value: like activations of one token. */
  int32s(count: number, bits = 31): Int32Array {
    const max = 2 ** bits - 1;
    return Int32Array.from({ length: count }, () =>
      Math.floor((this.#random.nextU32() / 2 ** 31 - 1) * (max + 0.5)),
    );
  }

  /** count values of a few kinds: spread, tiny, all at an end, alternating, zero. */
  activations(count: number, kind: number): Int32Array {
    switch (kind % 6) {
      case 0:
        return this.int32s(count, 31);
      case 1:
        return this.int32s(count, 3);
      case 2:
        return new Int32Array(count).fill(INT32_MAX);
      case 3:
        return Int32Array.from({ length: count }, (_, i) => (i % 2 === 0 ? INT32_MAX : -INT32_MAX));
      case 4:
        return new Int32Array(count);
      default:
        return this.int32s(count, 20);
    }
  }
}
