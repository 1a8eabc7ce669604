/** What kernel_driver.c is given and must answer. */
export interface KernelCase {
  readonly name: string;
  /** Operation and arguments, as kernel_driver.c reads them. */
  readonly input: readonly number[];
  readonly expected: readonly number[];
}

/** enum operation of kernel_driver.c. */
export const operation = {
  scale: 1,
  reciprocalSqrt: 2,
  exp2Negative: 3,
  sigmoid: 4,
  quantize: 5,
  rmsnorm: 6,
  rope: 7,
  swiglu: 8,
  add: 9,
  linearRows: 10,
  gatherRow: 11,
  attend: 12,
  geluGate: 13,
  gelu: 14,
  layernorm: 15,
  residue: 16,
  neurons: 17,
  hadamard: 18,
} as const;

/** What the driver's outputs hold where nothing was written. */
export const UNTOUCHED = 0x5a5a5a5a;

/** The halves of a 64-bit word. */
export const low = (value: bigint) => Number(BigInt.asIntN(32, value));
export const high = (value: bigint) => Number(BigInt.asIntN(32, value >> 32n));
