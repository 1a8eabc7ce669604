/** Ops on single values or pairs against the same formula in float, within the errors of docs/arithmetic.md. */
import t from 'tap';
import { INT32_MAX } from '../../../codegen/arithmetic/fixed.js';
import { exactGeluGate } from '../../../codegen/arithmetic/tables.js';
import { add } from '../../../codegen/ops/add.js';
import { gelu } from '../../../codegen/ops/gelu.js';
import { rope } from '../../../codegen/ops/rope.js';
import { swiglu } from '../../../codegen/ops/swiglu.js';
import { Vectors } from '../arithmetic/vectors.js';
import { integerState } from './integer-state.js';
import { real } from './largest-error.js';
import { loweringOf } from './lowering-of.js';

t.test('GELU', async (t) => {
  const vectors = new Vectors(18n);
  for (const form of ['erf', 'tanh'] as const) {
    const op = { kind: 'gelu', name: 'act', form, input: 'up', output: 'h', range: '' } as const;
    const [inFrac, outFrac] = [20, 16];
    const step = gelu.lower(op, loweringOf({ formats: { up: inFrac }, fraction: outFrac }));
    const up = vectors.int32s(4000, 24);
    const h = new Int32Array(4000);
    gelu.integer(step, integerState({ buffers: { up, h } }));
    const x = real(up, inFrac);
    const worst = h.reduce((max, value, i) => {
      const allowed = 1e-5 * Math.abs(x[i]!) + 2 ** -outFrac;
      return Math.max(max, Math.abs(value * 2 ** -outFrac - x[i]! * exactGeluGate(x[i]!, form)) / allowed);
    }, 0);
    t.ok(worst <= 1 && worst > 0.2, `${form}: ${worst.toFixed(3)} of the bound`);
  }
});

t.test('gated activation', async (t) => {
  const vectors = new Vectors(15n);
  const op = { kind: 'swiglu', name: 'act', gate: 'gate', up: 'up', output: 'h', range: '' } as const;
  const [gateFrac, upFrac, outFrac] = [20, 22, 16];
  const step = swiglu.lower(op, loweringOf({ formats: { gate: gateFrac, up: upFrac }, fraction: outFrac }));
  const gate = vectors.int32s(4000, 25);
  const up = vectors.int32s(4000, 24);
  const h = new Int32Array(4000);
  swiglu.integer(step, integerState({ buffers: { gate, up, h } }));
  const [g, u] = [real(gate, gateFrac), real(up, upFrac)];
  const worst = h.reduce((max, value, i) => {
    const expected = (g[i]! / (1 + Math.exp(-g[i]!))) * u[i]!;
    const allowed = 2e-5 * Math.abs(g[i]! * u[i]!) + 2 ** -outFrac;
    return Math.max(max, Math.abs(value * 2 ** -outFrac - expected) / allowed);
  }, 0);
  t.ok(worst <= 1 && worst > 0.2, `${worst.toFixed(3)} of the bound`);
});

t.test('rope turns the pairs (i, i + headDim/2) of every head', async (t) => {
  const op = { kind: 'rope', name: 'r', buffer: 'x', heads: 2, headDim: 4 } as const;
  const [cos, sin] = [Math.round(0.6 * 16384), Math.round(0.8 * 16384)];
  const table = Int16Array.of(0, 0, 0, 0, cos, 16384, sin, 0); // position 1: pair 0 by atan(4/3), pair 1 not at all
  const x = Int32Array.of(1000, 2000, 3000, 4000, -1000, 5, 0, 6);
  rope.integer({ kind: 'rope', op }, integerState({ buffers: { x }, rope: table, position: 1 }));
  t.strictSame([...x], [600 - 2400, 2000, 800 + 1800, 4000, -600, 5, -800, 6]);
});

t.test('residual addition saturates', async (t) => {
  const op = { kind: 'add', name: 'add', input: 'y', output: 'x', range: '' } as const;
  const x = Int32Array.of(1, INT32_MAX, -INT32_MAX, -5);
  const y = Int32Array.of(2, 1, -1, 5);
  add.integer({ kind: 'add', op }, integerState({ buffers: { x, y } }));
  t.strictSame([...x], [3, INT32_MAX, -INT32_MAX, 0]);
  t.strictSame([...y], [2, 1, -1, 5]);
});
