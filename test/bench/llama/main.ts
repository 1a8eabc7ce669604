/** `npm run bench:llama`: the same shape through a bundle and through llama.cpp, in pairs. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findToolchain } from '../../../codegen/compile/toolchain.js';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { findTarget } from '../../../targets/index.js';
import { type ShapeName, shapes } from '../shapes.js';
import { Workspace } from '../workspace.js';
import { compareEngines, comparisonMarkdown } from './compare-engines.js';
import { findLlamaBench } from './llama-bench.js';
import { type GgufFormat, writeRandomGguf } from './random-gguf.js';

const help = `npm run bench:llama -- [options]

Compares with llama.cpp: its llama-bench, which must be in PATH, and a bundle run in turn on the same shape, the same
number of threads and of tokens. Prints the medians and the ratios of the pairs. Without --gguf and --bundle both are
made of random weights, in formats of as many bits.

  --shapes LIST      of ${Object.keys(shapes)
    .filter((name) => name !== '260K')
    .join(', ')} (15M)
  --formats LIST     of int4 (against q4_0) and int8 (against q8_0): int4
  --target NAME      one that this machine runs itself (x86_64-avx2)
  --gguf FILE        compare with this file ...
  --bundle DIR       ... the bundle of a model of the same shape
  --threads N        of both (1)
  --tokens N         of the prompt, and to generate (64)
  --pairs N          times that both are measured (5)
  --realtime         give what is timed precedence over all else (chrt -f 20, as root): for busy machines
  --help             this text`;

const formats: Readonly<Record<string, GgufFormat>> = { int4: 'q4_0', int8: 'q8_0' };

const text = { type: 'string' } as const;
const flag = { type: 'boolean', default: false } as const;

async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{ shapes: text, formats: text, target: text, gguf: text, bundle: text, threads: text, tokens: text },
      ...{ pairs: text, realtime: flag, help: flag },
    },
  });
  if (values.help) return console.log(help);
  const llamaBench = await findLlamaBench();
  if (llamaBench === undefined) {
    throw new Error(
      'there is no llama-bench in PATH; build it: https://github.com/ggml-org/llama.cpp, target llama-bench',
    );
  }
  const common = {
    llamaBench,
    threads: count('--threads', values.threads, 1),
    tokens: count('--tokens', values.tokens, 64),
    pairs: count('--pairs', values.pairs, 5),
    prefix: values.realtime ? ['chrt', '-f', '20'] : [],
  };
  const compare = async (bundle: string, gguf: string) => {
    const onPair = (pair: number) => console.error(`pair ${pair + 1} of ${common.pairs}`);
    console.log(`\n${comparisonMarkdown(await compareEngines({ ...common, bundle, gguf }, onPair))}`);
  };
  if (values.gguf !== undefined || values.bundle !== undefined) {
    if (values.gguf === undefined || values.bundle === undefined)
      throw new Error('--gguf and --bundle go together');
    await compare(values.bundle, values.gguf);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'em-llama-'));
  try {
    const workspace = new Workspace(folder);
    for (const shape of (values.shapes ?? '15M').split(',').map(knownShape)) {
      for (const format of (values.formats ?? 'int4').split(',')) {
        const theirs = formats[format];
        if (theirs === undefined)
          throw new Error(`--formats takes ${Object.keys(formats).join(', ')}, not '${format}'`);
        console.error(`${shape} ${format} against ${theirs}`);
        const gguf = join(folder, `${shape}-${theirs}.gguf`);
        writeRandomGguf(gguf, shapes[shape], theirs);
        const target = await findTarget(values.target ?? 'x86_64-avx2');
        const { version } = await findToolchain(target);
        const { bundle } = await workspace.build({ shape, format, target: target.name }, version);
        await compare(bundle, gguf);
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function knownShape(name: string): ShapeName {
  if (!Object.hasOwn(shapes, name)) {
    throw new Error(`there is no shape '${name}'; there are ${Object.keys(shapes).join(', ')}`);
  }
  return name as ShapeName;
}

function count(name: string, given: string | undefined, absent: number): number {
  const value = given === undefined ? absent : Number(given);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name} takes a number from 1, not '${given}'`);
  return value;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(
    error instanceof EmbedError ? error.format() : `error: ${error instanceof Error ? error.message : error}`,
  );
  process.exitCode = error instanceof EmbedError ? error.exitCode : 2;
}
