/** Cases of the neuron field and of what int8 leaves of an activation, answered by the TypeScript reference. */
import { quantizeVector } from '../../../codegen/arithmetic/activation.js';
import { multiplierOf } from '../../../codegen/arithmetic/fixed.js';
import { type NeuronsStep, neuronWeights } from '../../../codegen/ops/neurons.js';
import { residueOf } from '../../../codegen/ops/residue.js';
import { Vectors } from '../../codegen/arithmetic/vectors.js';
import { type KernelCase, operation } from './kernel-case.js';

export function residueCases(): KernelCase[] {
  const vectors = new Vectors(20n);
  return Array.from({ length: 24 }, (_, i): KernelCase => {
    const columns = [1, 31, 64, 100][i % 4]!;
    const tokens = 1 + (i % 3);
    const values = vectors.activations(columns * tokens, i);
    if (i >= 16) values.set(values.map((v) => v >> (i - 2)));
    const expected: number[] = [];
    for (let token = 0; token < tokens; token++) {
      const row = values.subarray(token * columns, (token + 1) * columns);
      const integers = new Int8Array(columns);
      const scale = quantizeVector(row, 0, columns, integers, 0);
      const out = new Int32Array(columns);
      residueOf(row, { integers, scale }, out);
      expected.push(...out);
    }
    const input = [operation.residue, columns, tokens, ...values];
    return { name: `residue ${tokens} x ${columns}, case ${i}`, input, expected };
  });
}

/** Fields whose distances, temperatures and formats range from the plausible to the absurd. */
export function neuronCases(): KernelCase[] {
  const vectors = new Vectors(21n);
  return Array.from({ length: 40 }, (_, i): KernelCase => {
    const width = [1, 7, 128, 600][i % 4]!;
    const count = [1, 5, 64, 131][Math.floor(i / 4) % 4]!;
    const tokens = 1 + (i % 2);
    const absurd = i % 5 === 4;
    const [inFrac, dotsFrac] = absurd ? [vectors.between(0, 30), vectors.between(0, 30)] : [22, 18 + (i % 3)];
    const constants = new Int32Array(3 * count);
    for (let n = 0; n < count; n++) {
      const rate = multiplierOf(
        Math.LOG2E / (absurd ? 2 ** vectors.between(-20, 120) : vectors.between(1, 30) / 40),
      );
      constants.set(
        [absurd ? Math.abs(vectors.int32()) : vectors.between(2 ** dotsFrac, 2 ** (dotsFrac + 6))],
        n,
      );
      constants.set([rate.mantissa], count + n);
      constants.set([rate.exponent], 2 * count + n);
    }
    const step: NeuronsStep = {
      kind: 'neurons',
      op: {
        ...{
          kind: 'neurons',
          name: 'n',
          input: 'x',
          dots: 'd',
          output: 'w',
          positions: 'p',
          temperatures: 't',
        },
        ...{ temperatureFloor: 0.1, epsilon: 0, range: '' },
      },
      ...{ count, constants, inFrac, dotsFrac },
      epsilonScore: [1741647, 0, 0x7fffffff][i % 3]!,
    };
    const values = absurd ? vectors.activations(width * tokens, i) : vectors.int32s(width * tokens, 23);
    const dots = absurd
      ? vectors.activations(count * tokens, i * 3)
      : vectors.int32s(count * tokens, dotsFrac + 5);
    const expected: number[] = [];
    for (let token = 0; token < tokens; token++) {
      const out = new Int32Array(count);
      const x = values.subarray(token * width, (token + 1) * width);
      neuronWeights(step, x, dots.subarray(token * count, (token + 1) * count), out);
      expected.push(...out);
    }
    const shape = [inFrac, dotsFrac, step.epsilonScore, width, count, tokens];
    const input = [operation.neurons, ...shape, ...constants, ...values, ...dots];
    return { name: `neurons ${count} over ${width}, case ${i}`, input, expected };
  });
}
