/** Checkpoints of larger shapes, and what a build takes, on small ones. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openModelSource } from '../../../codegen/checkpoint/model-source.js';
import { findTarget } from '../../../targets/index.js';
import { cannotRun } from '../../end-to-end/tiny-bundles.js';
import { writeRandomCheckpoint } from '../random-checkpoint.js';
import { writeRandomIds } from './checkpoints.js';
import { writeRandomGpt2 } from './random-gpt2.js';
import { watchedBuild } from './watched-build.js';

const obstacle = await cannotRun(await findTarget('x86_64-avx2'));

function temporary(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'em-large-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  return folder;
}

t.test('a GPT-2 of random weights', async (t) => {
  const folder = temporary(t);
  const shape = { width: 32, inner: 72, layers: 2, heads: 4, vocab: 130, positions: 24 };
  const write = (name: string, seed: number) => {
    writeRandomGpt2(join(folder, name), shape, seed);
    return readFileSync(join(folder, name, 'model.safetensors'));
  };
  const one = write('one', 1);
  t.ok(one.equals(write('again', 1)), 'same seed, same bytes');
  t.notOk(one.equals(write('other', 2)));
  const { checkpoint } = openModelSource(join(folder, 'one'), false);
  t.teardown(() => checkpoint.close());
  t.match(checkpoint.config, { hiddenSize: 32, intermediateSize: 72, layers: 2, vocabSize: 130 });
});

t.test('random ids', async (t) => {
  const folder = temporary(t);
  const bytes = readFileSync(writeRandomIds(folder, 50, 2000));
  const ids = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  t.equal(ids.length, 2000);
  t.equal(new Set(ids).size, 50, 'all of them, and no other');
  t.ok(ids.every((id) => id < 50));
});

t.test('what a build takes', { skip: obstacle }, async (t) => {
  const folder = temporary(t);
  const model = join(folder, 'model.bin');
  const shape = { dim: 32, hidden: 48, layers: 1, heads: 2, kvHeads: 2, vocab: 300, context: 32 };
  writeRandomCheckpoint(model, shape, 1);
  const fixed = ['--target', 'x86_64-avx2', '--model', model, '--no-tokenizer', '--no-run', '--quiet'];
  const options = [...fixed, '--calibration', writeRandomIds(folder, shape.vocab, 1500)];
  const found = await watchedBuild(folder, [...options, '--quantize', 'int4']);
  t.match(found, { manifest: { plan: { name: 'int4' } } });
  t.ok(found!.processorSeconds > 0.1 && found!.seconds > 0.1);
  t.ok(found!.peakBytes > 30e6, `${found!.peakBytes} bytes`);
  t.equal(await watchedBuild(folder, [...options, '--quantize', 'int5']), null, 'a build that refuses');
});
