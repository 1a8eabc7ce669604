import t, { type Test } from 'tap';
import type { LlamaConfig } from '../../../codegen/checkpoint/config.js';
import { ropeFrequencies } from '../../../codegen/graph/rope-frequencies.js';
import { plainConfig } from './shape-checkpoint.js';

const frequencies = (changes: Partial<LlamaConfig>) => [...ropeFrequencies({ ...plainConfig, ...changes })];

/** Equal but for the last bits. */
function near(t: Test, found: readonly number[], expected: readonly number[]): void {
  t.equal(found.length, expected.length);
  for (const [i, value] of expected.entries())
    t.ok(Math.abs(found[i]! / value - 1) < 1e-9, `pair ${i}: ${found[i]} is ${value}`);
}

t.test('default: theta^(-2i/d)', async (t) => {
  near(t, frequencies({ headDim: 8, ropeTheta: 10_000 }), [1, 0.1, 0.01, 0.001]);
  near(t, frequencies({ headDim: 4, ropeTheta: 1_000_000 }), [1, 0.001]);
});

t.test('linear: all divided by the factor', async (t) => {
  near(
    t,
    frequencies({ headDim: 8, ropeTheta: 10_000, ropeScaling: { kind: 'linear', factor: 4 } }),
    [0.25, 0.025, 0.0025, 0.00025],
  );
});

t.test('llama3: long wavelengths divided, short ones kept, a blend between', async (t) => {
  const scaling = {
    kind: 'llama3',
    factor: 8,
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
    originalContext: 64,
  } as const;
  // 64 positions are 64 f / (2 pi) turns: 10.19, 1.019 and 0.1019 for f = 1, 0.1, 0.01.
  const blend = (6.4 / (2 * Math.PI) - 1) / 3; // 0.006197...
  near(t, frequencies({ headDim: 8, ropeTheta: 10_000, ropeScaling: scaling }), [
    1,
    0.1 * blend + (0.1 / 8) * (1 - blend),
    0.00125,
    0.000125,
  ]);
});
