/** Bundles whose runner holds the weights. */
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { readManifest } from '../../../codegen/bundle/manifest.js';
import type { BuildResult } from '../../../codegen/pipeline.js';
import { silentProgress } from '../../../codegen/progress.js';
import { type LocalRun, runLocally } from '../../../deploy/local.js';
import { runBundle } from '../../../deploy/run-bundle.js';
import { targets } from '../../../targets/index.js';
import { riscvU74Zb } from '../../../targets/riscv-u74-zb.js';
import type { Target } from '../../../targets/target.js';
import {
  buildBundle,
  cannotRun,
  smallestModel,
  temporaryFolder,
  writeCheckpoint,
} from '../../end-to-end/tiny-bundles.js';
import { installedToolchains } from './installed.js';

interface Segment {
  readonly isWritable: boolean;
  readonly offset: number;
  readonly address: number;
  readonly bytes: number;
}

/** What the loader puts into memory of a 64-bit little-endian program: PT_LOAD, System V ABI, chapter 5. */
function loadedSegments(file: Buffer): Segment[] {
  const table = Number(file.readBigUInt64LE(32));
  const headers = Array.from({ length: file.readUInt16LE(56) }, (_, index) => table + index * 56);
  return headers
    .filter((at) => file.readUInt32LE(at) === 1)
    .map((at) => ({
      isWritable: (file.readUInt32LE(at + 4) & 2) !== 0,
      offset: Number(file.readBigUInt64LE(at + 8)),
      address: Number(file.readBigUInt64LE(at + 16)),
      bytes: Number(file.readBigUInt64LE(at + 32)),
    }));
}

const folder = temporaryFolder(t);
const model = writeCheckpoint(smallestModel, join(folder, 'model'));
const context = { progress: silentProgress, signal: new AbortController().signal };

/** Every family for the first target; for the others, one that links with GNU's linker and one with LLVM's. */
const chosen = (await installedToolchains()).filter(
  ({ target, family }) => target === targets[0] || (target !== riscvU74Zb && family !== 'clang'),
);

/** By target: a bundle of two files does not depend on the compiler in what is compared here. */
const twoFiles = new Map<Target, BuildResult>();

for (const { title, target, family, skip } of chosen) {
  t.test(title, { skip: skip || (await cannotRun(target, family)) }, async (t) => {
    const out = (name: string) => join(folder, `${target.name}-${family}-${name}`);
    const request = { target, model, toolchain: family } as const;
    const two = twoFiles.get(target) ?? (await buildBundle({ ...request, out: out('two') }));
    twoFiles.set(target, two);
    const one = await buildBundle({ ...request, out: out('one'), singleFile: true, run: true });
    const blob = await readFile(join(two.bundle, 'model.blob'));

    t.equal(one.result.output.matchesGolden, true, 'logits equal the reference');
    t.equal(one.manifest.build.id, two.manifest.build.id, 'the same model');
    t.notOk(existsSync(join(one.bundle, 'model.blob')));
    t.notOk('model.blob' in one.manifest.files);
    t.same([readManifest(one.bundle).singleFile, readManifest(two.bundle).singleFile], [true, false]);

    const program = await readFile(join(one.bundle, 'bin', 'em-run'));
    const offset = program.indexOf(blob);
    const segment = loadedSegments(program).find((s) => s.offset <= offset && offset < s.offset + s.bytes);
    t.equal(program.lastIndexOf(blob), offset, 'the weights are in it once');
    t.equal(segment?.isWritable, false, 'where they cannot be written');
    t.equal((segment!.address + offset - segment!.offset) % 64, 0, 'aligned');

    const run = async (args: readonly string[]): Promise<LocalRun & { stdout: string }> => {
      let stdout = '';
      const onStdoutChunk = (chunk: Buffer) => {
        stdout += chunk.toString();
      };
      const binary = join(one.bundle, 'bin', 'em-run');
      return { ...(await runLocally(target, binary, args, { timeoutMs: 60_000, onStdoutChunk })), stdout };
    };
    const plain = await run(['--prompt', 'x', '--tokens', '4', '--digest']);
    t.equal(plain.exitCode, 0, plain.stderr);
    t.match(plain.stderr, /logits digest [0-9a-f]{16}/);
    const strange = await run([join(two.bundle, 'model.blob'), '--prompt', 'x']);
    t.equal(strange.exitCode, 2);
    t.match(strange.stderr, /this program holds its weights/);

    const options = {
      ...{ prompt: null, ids: [1, 2, 3], tokens: 4, threads: 2, chunk: null, mode: 'auto' as const },
      sampling: { temperatureQ16: 0, topK: 0, topPQ16: 65536, seed: '0' },
    };
    const [single, apart] = [one, two].map(({ bundle }) => runBundle(bundle, options, context));
    t.equal((await single).output.logitsDigest, (await apart).output.logitsDigest, 'as from two files');
  });
}

const [native] = (await installedToolchains()).filter(({ skip }) => skip === false);
const obstacle = native === undefined ? 'no toolchain' : await cannotRun(native.target, native.family);

t.test('weights that were damaged in the program', { skip: obstacle }, async (t) => {
  const { target } = native;
  const { bundle } = await buildBundle({ target, model, out: join(folder, 'damaged'), singleFile: true });
  const copy = join(folder, 'copy');
  await mkdir(copy);
  const program = join(copy, 'em-run');
  await cp(join(bundle, 'bin', 'em-run'), program);
  const bytes = await readFile(program);
  // Behind the header and the table of the blob, which is much larger than what is looked for here.
  bytes[bytes.indexOf('EMBLOB') + 4096] ^= 1;
  await writeFile(program, bytes);
  const { exitCode, stderr } = await runLocally(target, program, ['--prompt', 'x'], { timeoutMs: 60_000 });
  t.equal(exitCode, 2);
  t.match(stderr, /weights in this program/);
});
