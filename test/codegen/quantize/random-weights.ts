import { Pcg32 } from '../../../codegen/arithmetic/pcg32.js';

/** Seeded values, roughly normal with deviation 1: the sum of twelve even draws. */
export function randomFloats(count: number, seed: number): Float32Array {
  const random = new Pcg32(BigInt(seed));
  return Float32Array.from({ length: count }, () => {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += random.nextU32() / 2 ** 32;
    return sum;
  });
}

/**
 * Inputs float32[tokens x columns] of a matrix whose columns depend on one another and differ in size, as activations do: a few
 * directions that all columns share, plus noise.
 */
export function correlatedInputs(tokens: number, columns: number, seed: number): Float32Array {
  const directions = Math.max(1, columns >> 2);
  const basis = randomFloats(directions * columns, seed);
  const strengths = randomFloats(tokens * directions, seed + 1);
  const noise = randomFloats(tokens * columns, seed + 2);
  const inputs = new Float32Array(tokens * columns);
  for (let t = 0; t < tokens; t++) {
    for (let c = 0; c < columns; c++) {
      let x = 0.3 * noise[t * columns + c]!;
      for (let d = 0; d < directions; d++) x += strengths[t * directions + d]! * basis[d * columns + c]!;
      inputs[t * columns + c] = x * (1 + (c % 5));
    }
  }
  return inputs;
}
