/**
 * The sources of images: what depends on the board byte for byte as committed under test/golden/bare-metal, everything without a
 * warning. After a change that is meant: UPDATE_GOLDEN=1, then read the difference.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { bareMetalBoards } from '../../../codegen/bare-metal/bare-metal-board.js';
import { emitBareMetal } from '../../../codegen/bare-metal/emit-bare-metal.js';
import type { GoldenRun } from '../../../codegen/bundle/manifest.js';
import { emitSources } from '../../../codegen/emit/sources.js';
import { seededSampling } from '../../../codegen/evaluate/golden-run.js';
import { layOutBlob } from '../../../codegen/layout/blob.js';
import { kernelSetOf } from '../../../codegen/layout/kernel-set.js';
import { planMemory } from '../../../codegen/layout/memory-plan.js';
import { blobSections } from '../../../codegen/layout/sections.js';
import { freestandingFlags, onPath, root } from '../../templates/c-compiler.js';
import { CSyntax } from '../../templates/c-syntax.js';
import { tinyIntegerModel } from '../lower/tiny-integer-model.js';

t.setTimeout(300_000);

const goldenFolder = join(root, 'test', 'golden', 'bare-metal');
const folder = mkdtempSync(join(tmpdir(), 'embed-model-bare-emit-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

const greedy = { temperatureQ16: 0, topK: 0, topPQ16: 65536, seed: '0' };
const golden: readonly GoldenRun[] = [
  {
    ...{ prompt: null, promptIds: Array.from({ length: 13 }, (_, i) => i), tokenIds: [3, 1, 2] },
    ...{ sampling: greedy, logitsDigest: 'fedcba9876543210' },
  },
  {
    ...{ prompt: 'tests', promptIds: [5], tokenIds: [7] },
    ...{ sampling: { ...seededSampling, seed: '18446744073709551615' }, logitsDigest: '0123456789abcdef' },
  },
];

/** Sources of a model with a tokenizer, and of one without. */
function modelSources(hasTokenizer: boolean): Map<string, string> {
  const kernels = kernelSetOf('portable');
  const model = tinyIntegerModel(join(folder, `model-${hasTokenizer}`), 10, () => 'w8');
  const tokenizer = hasTokenizer ? new Uint8Array(300) : null;
  return emitSources(
    {
      ...{ modelName: 'tiny', targetName: 'cortex-a72', planName: 'int8', model, hasTokenizer },
      ...{ memory: planMemory(model.graph, 4, kernels), bosId: 1, eosIds: [2] },
      blob: layOutBlob(blobSections(model, kernels, tokenizer)),
    },
    kernels,
  );
}

const compilerOf = {
  aarch64: ['aarch64-linux-gnu-gcc', ['clang', '--target=aarch64-linux-gnu']],
  riscv64: ['riscv64-linux-gnu-gcc', ['clang', '--target=riscv64-linux-gnu', '-march=rv64gc']],
  x86_64: [],
} as const;

for (const board of bareMetalBoards) {
  const files = emitBareMetal(board, golden);

  t.test(`${board.name} is as committed`, async (t) => {
    for (const path of [
      'bare-metal/board.h',
      'bare-metal/link.ld',
      'bare-metal/golden.c',
      'bare-metal/golden.h',
    ]) {
      const isOfBoard = /board\.h|link\.ld/.test(path);
      const place = join(goldenFolder, isOfBoard ? board.name : '.');
      const committed = join(place, path.replace('bare-metal/', ''));
      if (process.env.UPDATE_GOLDEN === '1') {
        mkdirSync(place, { recursive: true });
        writeFileSync(committed, files.get(path)!);
      }
      t.equal(files.get(path), readFileSync(committed, 'utf8'), path);
    }
    t.strictSame([...emitBareMetal(board, golden)], [...files], 'emitted twice, it is the same');
  });

  t.test(`${board.name}: the script says where the machine begins`, async (t) => {
    const script = files.get('bare-metal/link.ld')!;
    t.match(script, `ORIGIN = 0x${board.loadAddress.toString(16)}`);
    t.match(files.get('bare-metal/board.h'), `EM_UART 0x${board.uart.address.toString(16)}ul`);
  });

  t.test(`${board.name}: lines within 120 columns, C that parses, no floating point`, async (t) => {
    const syntax = await CSyntax.open();
    for (const [path, text] of files) {
      t.strictSame(
        text.split('\n').filter((line) => line.length > 120),
        [],
        path,
      );
      if (/\.[ch]$/.test(path)) t.strictSame(syntax.faults(text), [], path);
    }
  });

  for (const hasTokenizer of [true, false]) {
    for (const command of compilerOf[board.arch]) {
      const [program, ...flags] = typeof command === 'string' ? [command] : command;
      const skip = !onPath(program) && `${program} not installed`;
      const what = `${board.name} compiles with ${program} without a warning, ${hasTokenizer ? 'with' : 'without'} tokenizer`;
      t.test(what, { skip }, async (t) => {
        const place = mkdtempSync(join(folder, 'src-'));
        writeFileSync(join(place, 'model.blob'), 'weights');
        const sources = new Map([...modelSources(hasTokenizer)].map(([name, text]) => [`src/${name}`, text]));
        for (const sub of ['src', 'bare-metal']) mkdirSync(join(place, sub));
        for (const [path, text] of [...sources, ...files]) writeFileSync(join(place, path), text);
        for (const unit of [...files.keys()].filter((path) => /\.[cS]$/.test(path))) {
          const args = [
            ...flags,
            ...freestandingFlags,
            '-Os',
            '-Isrc',
            '-Ibare-metal',
            '-c',
            unit,
            '-o',
            'o.o',
          ];
          const { status, stderr } = spawnSync(program, args, { cwd: place, encoding: 'utf8' });
          t.equal(status, 0, `${unit}: ${stderr}`);
        }
      });
    }
  }
}
