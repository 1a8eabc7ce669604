import t from 'tap';
import { describe, smallestAllocation } from '../../../codegen/allocate/allocate-bits.js';
import { type Candidate, evolveAllocation } from '../../../codegen/allocate/evolve-allocation.js';
import { FormatLibrary } from '../../../codegen/allocate/format-library.js';
import {
  type AllocatedFormat,
  allocatedFormats,
  type Sensitivity,
} from '../../../codegen/allocate/sensitivity.js';
import { DivergenceProbe } from '../../../codegen/calibrate/divergence-probe.js';
import { dequantizedWeights } from '../../../codegen/calibrate/float-weights.js';
import { quantizeSequentially } from '../../../codegen/quantize/gptq/quantize-sequentially.js';
import { quietContext } from '../evaluate/tiny-bundle.js';
import { tinyProblem } from './tiny-problem.js';

type Formats = ReadonlyMap<string, AllocatedFormat>;

const names = ['a', 'b', 'c', 'd', 'e'];
const bits = { w4: 4, w5: 5, w6: 6, w8: 8 } as const;
const bytesOf = (name: string, format: AllocatedFormat) => (1 + names.indexOf(name)) * bits[format];
const noise = (format: AllocatedFormat) => 4 ** -bits[format];
const sensitivities: Sensitivity[] = names.map((matrix, i) => ({
  matrix,
  divergence: Object.fromEntries(
    allocatedFormats.map((f) => [f, (i + 1) * noise(f)]),
  ) as Sensitivity['divergence'],
}));

/** Not additive: errors of a and e meet in the same place, where together they cost four times as much. */
const measured = (formats: Formats) => {
  const own = sensitivities.reduce(
    (sum, { matrix, divergence }) => sum + divergence[formats.get(matrix)!],
    0,
  );
  return own + 24 * Math.sqrt(noise(formats.get('a')!) * noise(formats.get('e')!));
};

/** The best of all formats of at most so many bytes. */
function bestOf(maxBytes: number): number {
  let best = Number.POSITIVE_INFINITY;
  const visit = (formats: Map<string, AllocatedFormat>) => {
    if (formats.size < names.length) {
      for (const format of allocatedFormats) visit(new Map([...formats, [names[formats.size]!, format]]));
    } else if (describe(sensitivities, bytesOf, formats).bytes <= maxBytes) {
      best = Math.min(best, measured(formats));
    }
  };
  visit(new Map());
  return best;
}

const start = smallestAllocation(sensitivities, bytesOf, 0.012)!;
const evolve = (seed: number, generations = 30) =>
  evolveAllocation(
    {
      ...{ start, sensitivities, bytesOf, generations, offspring: 8, seed },
      fitness: async (formats) => measured(formats),
    },
    quietContext(),
  );

t.test('finds what the additive model cannot see, within the bytes of the start', async (t) => {
  const evolution = await evolve(1);
  t.equal(evolution.start, measured(start.formats));
  t.ok(evolution.fitness < evolution.start, `${evolution.start} -> ${evolution.fitness}`);
  t.ok(Math.abs(evolution.fitness - bestOf(start.bytes)) < 1e-12, 'the best there is');
  t.equal(measured(evolution.allocation.formats), evolution.fitness);
  t.ok(evolution.allocation.bytes <= start.bytes);
});

t.test('the history holds everyone, and never gets worse', async (t) => {
  const { history, start: first } = await evolve(2);
  let before = first;
  for (const { population, best } of history) {
    t.ok(population.length > 0 && population.every(({ bytes }: Candidate) => bytes <= start.bytes));
    t.ok(
      population.every(({ changes }) => changes.length > 0 && changes.every(({ from, to }) => from !== to)),
    );
    t.equal(best, Math.min(before, ...population.map(({ fitness }) => fitness)));
    before = best;
  }
  const tried = history.flatMap(({ population }) => population).length;
  t.ok(tried < 30 * 8, 'and it ends when there is nothing new to try');
});

t.test('deterministic for a seed; no generations, no change', async (t) => {
  t.same(await evolve(3, 4), await evolve(3, 4));
  t.notSame((await evolve(3, 1)).history, (await evolve(4, 1)).history);
  const none = await evolve(3, 0);
  t.same(none.allocation.formats, start.formats);
  t.same(none.history, []);
});

t.test('a library measures an allocation as if it had been quantized so', async (t) => {
  const problem = tinyProblem(t);
  const { graph, checkpoint, weights, probe, calibration } = problem;
  const library = await FormatLibrary.build(problem, quietContext());
  const { signal } = quietContext();
  const uniform = new Map(graph.matrices.map(({ name }) => [name, 'w5' as const]));
  const matrices = await quantizeSequentially(
    { ...problem, formats: uniform, windows: calibration },
    quietContext(),
  );
  const exact = await DivergenceProbe.over(graph, weights, probe, signal);
  const { kld } = await exact.measure(dequantizedWeights(checkpoint, graph, matrices), signal);
  t.equal(await library.divergence(uniform, signal), kld, 'of one format: the same');

  // Of several formats, matrices were fitted to inputs of another model: what is worse is worse all the same.
  const found: [library: number, own: number][] = [];
  for (const choices of [
    ['w4', 'w5'],
    ['w5', 'w6'],
    ['w6', 'w8'],
  ] as const) {
    const mixed = new Map(graph.matrices.map(({ name }, i) => [name, choices[i % 2]!] as const));
    const own = await quantizeSequentially(
      { ...problem, formats: mixed, windows: calibration },
      quietContext(),
    );
    const { kld } = await exact.measure(dequantizedWeights(checkpoint, graph, own), signal);
    found.push([await library.divergence(mixed, signal), kld]);
  }
  for (const which of [0, 1] as const) {
    const values = found.map((pair) => pair[which]);
    t.ok(values[0]! > 2 * values[1]! && values[1]! > 2 * values[2]!, values.join(', '));
  }
});
