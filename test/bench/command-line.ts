/** The command line of `npm run bench`. */
import { parseArgs } from 'node:util';
import { nearestName } from '../../codegen/diagnostics/nearest-name.js';
import { planOf } from './formats.js';
import { type ShapeName, shapes } from './shapes.js';

export interface BenchSettings {
  readonly shapes: readonly ShapeName[];
  readonly formats: readonly string[];
  readonly targets: readonly string[];
  readonly instructions: boolean;
  readonly speed: boolean;
  readonly profile: boolean;
  readonly realtime: boolean;
  readonly repeat: number;
  /** Where results go. */
  readonly out: string;
  /** Where checkpoints and bundles stay for the next time; null: nowhere. */
  readonly folder: string | null;
  readonly writeDocs: boolean;
  readonly help: boolean;
}

export const benchHelp = `npm run bench -- [options]

Builds models of random weights and measures them: instructions per token of every target, counted under
qemu-user; cycles per multiplication, estimated by llvm-mca where that is installed; speed and memory of
this machine's own target, and how much of its read bandwidth that is. Prints Markdown, and writes
benchmarks.md, benchmarks.json and benchmarks.svg.

  --shapes LIST      of ${Object.keys(shapes).join(', ')}: all of them
  --formats LIST     plans or formats, such as int4,int8,w5,w6: these four
  --targets LIST     as embed-model targets lists them: x86_64-avx2,cortex-a72,riscv-u74
  --quick            260K and 15M, int4 and int8, unless said otherwise; 3 repeats
  --repeat N         repeats of a measurement of speed (10)
  --profile          tables of the functions that a token's instructions go to
  --no-speed         count instructions only
  --no-instructions  measure speed only
  --realtime         give what is timed precedence over all else (chrt -f 20, as root): for busy machines
  --out DIR          where results go (build/bench)
  --folder DIR       keep checkpoints, bundles and counts there, up to 5 GB, and take what is there where the code that
                     makes it is the same: counting on a busy machine, then timing on a quiet one. Without: a temporary
                     folder, removed at the end
  --write-docs       put the results into docs/benchmarks.md and docs/benchmarks.svg
  --help             this text

A full run takes an hour and more, some minutes of it to time, --quick some minutes.`;

const text = { type: 'string' } as const;
const flag = { type: 'boolean', default: false } as const;

/** Throws with a sentence for people where something is not known. */
export function parseBenchSettings(args: readonly string[]): BenchSettings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{ shapes: text, formats: text, targets: text, repeat: text, out: text, folder: text },
      ...{ quick: flag, profile: flag, realtime: flag, help: flag },
      ...{ 'no-speed': flag, 'no-instructions': flag, 'write-docs': flag },
    },
  });
  const { quick } = values;
  const names = Object.keys(shapes) as ShapeName[];
  return {
    shapes: listOf(values.shapes, quick ? ['260K', '15M'] : names, (name) => pick('shape', name, names)),
    formats: listOf(values.formats, quick ? ['int4', 'int8'] : ['int4', 'int8', 'w5', 'w6'], knownFormat),
    targets: listOf(values.targets, ['x86_64-avx2', 'cortex-a72', 'riscv-u74'], (name) => name),
    instructions: !values['no-instructions'],
    speed: !values['no-speed'],
    profile: values.profile,
    realtime: values.realtime,
    repeat: repeats(values.repeat ?? (quick ? '3' : '10')),
    out: values.out ?? 'build/bench',
    folder: values.folder ?? null,
    writeDocs: values['write-docs'],
    help: values.help,
  };
}

/** The words of a command line that say what is measured, without those that say where files go. */
export function measuredWords(args: readonly string[]): string[] {
  const isPlace = (word: string | undefined) => word === '--folder' || word === '--out';
  return args.filter((word, i) => !/^--(write-docs$|folder\b|out\b)/.test(word) && !isPlace(args[i - 1]));
}

function listOf<T extends string>(
  given: string | undefined,
  all: readonly T[],
  known: (name: string) => T,
): readonly T[] {
  return given === undefined ? all : given.split(',').map((name) => known(name.trim()));
}

function pick<T extends string>(what: string, name: string, names: readonly T[]): T {
  const found = names.find((one) => one === name);
  if (found !== undefined) return found;
  const nearest = nearestName(name, names);
  const hint = nearest === undefined ? `there are ${names.join(', ')}` : `did you mean ${nearest}?`;
  throw new Error(`there is no ${what} '${name}'; ${hint}`);
}

function knownFormat(name: string): string {
  if (planOf(name) === null) throw new Error(`'${name}' is neither a plan nor a format`);
  return name;
}

function repeats(given: string): number {
  const count = Number(given);
  if (!Number.isInteger(count) || count < 1)
    throw new Error(`--repeat takes a number from 1, not '${given}'`);
  return count;
}
