/**
 * Evolutionary polish of an allocation: what the additive model cannot see, that errors of some matrices add up more and those of
 * others less, is found by trying (Sieberling et al. 2024, EvoPress, arXiv 2410.14649).
 */
import { Pcg32 } from '../arithmetic/pcg32.js';
import { breathe, type StageContext } from '../progress.js';
import { type Allocation, type BytesOf, describe } from './allocate-bits.js';
import { type AllocatedFormat, allocatedFormats, type Sensitivity } from './sensitivity.js';

type Formats = ReadonlyMap<string, AllocatedFormat>;

export interface EvolutionInput {
  /** The first parent. No child takes more bytes. */
  readonly start: Allocation;
  readonly sensitivities: readonly Sensitivity[];
  readonly bytesOf: BytesOf;
  readonly generations: number;
  /** Children of a generation. */
  readonly offspring: number;
  readonly seed: number;
  /** What is to become small: measured divergence of a model with these formats, nats a token. */
  readonly fitness: (formats: Formats) => Promise<number>;
}

/** One child: how it differs from its parent, and how it did. */
export interface Candidate {
  readonly changes: readonly {
    readonly matrix: string;
    readonly from: AllocatedFormat;
    readonly to: AllocatedFormat;
  }[];
  readonly bytes: number;
  readonly fitness: number;
}

export interface Generation {
  readonly population: readonly Candidate[];
  /** Fitness of the parent of the next generation. */
  readonly best: number;
}

export interface Evolution {
  readonly seed: number;
  /** Fitness of the first parent. */
  readonly start: number;
  readonly history: readonly Generation[];
  readonly allocation: Allocation;
  readonly fitness: number;
}

/** Matrices that get more bits in a child: 1, 2 or 3. */
const MOST_RAISED = 3;
/** Draws for a child that was not seen before; where all fail, there is hardly anything left to try. */
const DRAWS = 50;

/**
 * (1 + offspring): the parent of each generation is the best that was found so far. Deterministic for a seed. A generation of which no
 * child is new ends the search.
 */
export async function evolveAllocation(
  input: EvolutionInput,
  { progress, signal }: StageContext,
): Promise<Evolution> {
  const { start, sensitivities, bytesOf, generations, offspring, seed, fitness } = input;
  const random = new Pcg32(BigInt(seed));
  const seen = new Set([keyOf(start.formats)]);
  progress.begin('evolve plan', generations * offspring + 1, 'plan');
  const first = await fitness(start.formats);
  progress.advance(1);
  let parent = { formats: start.formats, fitness: first };
  const history: Generation[] = [];
  for (let generation = 0; generation < generations; generation++) {
    const population: Candidate[] = [];
    let best = parent;
    for (let child = 0; child < offspring; child++) {
      await breathe(signal);
      const formats = drawChild(parent.formats, start.bytes, bytesOf, random, seen);
      progress.advance(1);
      if (formats === null) continue;
      const found = await fitness(formats);
      const { bytes } = describe(sensitivities, bytesOf, formats);
      population.push({ changes: changesOf(parent.formats, formats), bytes, fitness: found });
      if (found < best.fitness) best = { formats, fitness: found };
    }
    if (population.length === 0) break;
    parent = best;
    history.push({ population, best: best.fitness });
  }
  progress.end(`divergence ${first.toFixed(4)} -> ${parent.fitness.toFixed(4)} at no more bytes`);
  const allocation = describe(sensitivities, bytesOf, parent.formats);
  return { seed, start: first, history, allocation, fitness: parent.fitness };
}

const keyOf = (formats: Formats) => [...formats.values()].join();

/** A mutation of the parent that was not tried before, which `seen` then holds; null where none was drawn. */
function drawChild(
  parent: Formats,
  maxBytes: number,
  bytesOf: BytesOf,
  random: Pcg32,
  seen: Set<string>,
): Formats | null {
  for (let draw = 0; draw < DRAWS; draw++) {
    const child = mutate(parent, maxBytes, bytesOf, random);
    if (child === null || seen.has(keyOf(child))) continue;
    seen.add(keyOf(child));
    return child;
  }
  return null;
}

/** Gives some matrices a step more bits and takes a step from others, drawn at random, until all fit again; null: they never did. */
function mutate(parent: Formats, maxBytes: number, bytesOf: BytesOf, random: Pcg32): Formats | null {
  const formats = new Map(parent);
  const names = [...parent.keys()];
  const raised = new Set<string>();
  let bytes = names.reduce((sum, name) => sum + bytesOf(name, formats.get(name)!), 0);
  const step = (name: string, by: 1 | -1): boolean => {
    const from = formats.get(name)!;
    const to = allocatedFormats[allocatedFormats.indexOf(from) + by];
    if (to === undefined) return false;
    formats.set(name, to);
    bytes += bytesOf(name, to) - bytesOf(name, from);
    return true;
  };
  for (let wanted = 1 + random.nextBelow(MOST_RAISED); wanted > 0; wanted--) {
    const name = names[random.nextBelow(names.length)]!;
    if (step(name, 1)) raised.add(name);
  }
  if (raised.size === 0) return null;
  for (let tries = 4 * names.length; bytes > maxBytes && tries > 0; tries--) {
    const name = names[random.nextBelow(names.length)]!;
    if (!raised.has(name)) step(name, -1);
  }
  return bytes > maxBytes ? null : formats;
}

function changesOf(parent: Formats, child: Formats): Candidate['changes'] {
  return [...child].flatMap(([matrix, to]) => {
    const from = parent.get(matrix)!;
    return from === to ? [] : [{ matrix, from, to }];
  });
}
