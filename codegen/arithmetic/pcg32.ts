/**
 * PCG32: PCG-XSH-RR 64/32 of M. E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good
 * Algorithms for Random Number Generation", HMC-CS-2014-0905, 2014; the functions of her pcg_basic.c.
 *
 *     state' = state * 6364136223846793005 + inc  (mod 2^64),  inc = 2 * stream + 1
 *     output = ((state >> 18) ^ state) >> 27, low 32 bits, rotated right by state >> 59
 *
 * The 64-bit state is held in two int32 halves, which engines keep in registers; BigInt would be far slower.
 */

const MULTIPLIER_HIGH = 0x5851f42d;
const MULTIPLIER_LOW = 0x4c957f2d;

/** The stream of O'Neill's own examples, `pcg32_srandom_r(&rng, seed, 54)`. */
const DEFAULT_STREAM = 54n;

export class Pcg32 {
  #high = 0;
  #low = 0;
  readonly #incrementHigh: number;
  readonly #incrementLow: number;

  /**
   * `pcg32_srandom_r(seed, stream)`: state 0, one step, state += seed, one step. Both are taken modulo 2^64.
   */
  constructor(seed: bigint, stream: bigint = DEFAULT_STREAM) {
    const increment = BigInt.asUintN(64, (stream << 1n) | 1n);
    this.#incrementHigh = highHalf(increment);
    this.#incrementLow = lowHalf(increment);
    this.nextU32();
    this.#setState(this.state + seed);
    this.nextU32();
  }

  /** A generator that goes on from an exported `state` of the same stream. */
  static resume(state: bigint, stream: bigint = DEFAULT_STREAM): Pcg32 {
    const generator = new Pcg32(0n, stream);
    generator.#setState(state);
    return generator;
  }

  /** The 64 bits that the next output comes from, 0 <= state < 2^64. */
  get state(): bigint {
    return (BigInt(this.#high >>> 0) << 32n) | BigInt(this.#low >>> 0);
  }

  /** The next output, an integer, 0 <= value < 2^32. */
  nextU32(): number {
    const high = this.#high;
    const low = this.#low;
    this.#step(high, low);
    // (((high:low) >> 18) ^ (high:low)) >> 27, of which bits 27..58 are asked for
    const mixedHigh = (high >>> 18) ^ high;
    const mixedLow = ((high << 14) | (low >>> 18)) ^ low;
    const value = (mixedHigh << 5) | (mixedLow >>> 27);
    const rotation = high >>> 27;
    return ((value >>> rotation) | (value << (-rotation & 31))) >>> 0;
  }

  /**
   * An integer, 0 <= value < bound, each equally likely: `pcg32_boundedrand_r`, which draws again below 2^32
   * mod bound.
   * @param bound an integer, 1 <= bound <= 2^32 - 1
   */
  nextBelow(bound: number): number {
    const threshold = 2 ** 32 % bound;
    let value = this.nextU32();
    while (value < threshold) value = this.nextU32();
    return value % bound;
  }

  #setState(state: bigint): void {
    this.#high = highHalf(state);
    this.#low = lowHalf(state);
  }

  /** (high:low) * multiplier + increment, modulo 2^64. */
  #step(high: number, low: number): void {
    // High half of low * MULTIPLIER_LOW, from products of 16 bits by 16 bits.
    const low0 = low & 0xffff;
    const low1 = low >>> 16;
    const cross01 = Math.imul(low0, MULTIPLIER_LOW >>> 16);
    const cross10 = Math.imul(low1, MULTIPLIER_LOW & 0xffff);
    const middle =
      (Math.imul(low0, MULTIPLIER_LOW & 0xffff) >>> 16) + (cross01 & 0xffff) + (cross10 & 0xffff);
    const productHigh =
      Math.imul(low1, MULTIPLIER_LOW >>> 16) + (cross01 >>> 16) + (cross10 >>> 16) + (middle >>> 16);

    const sumLow = (Math.imul(low, MULTIPLIER_LOW) + this.#incrementLow) | 0;
    const carry = sumLow >>> 0 < this.#incrementLow >>> 0 ? 1 : 0;
    const upper = (Math.imul(low, MULTIPLIER_HIGH) + Math.imul(high, MULTIPLIER_LOW)) | 0;
    this.#high = (productHigh + upper + this.#incrementHigh + carry) | 0;
    this.#low = sumLow;
  }
}

function highHalf(bits: bigint): number {
  return Number(BigInt.asIntN(32, bits >> 32n));
}

function lowHalf(bits: bigint): number {
  return Number(BigInt.asIntN(32, bits));
}
