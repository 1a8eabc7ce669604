/** A million damaged inputs for every reader of checkpoints and vocabularies, by the tests that give them 2,000 otherwise. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

/** dist/test, from dist/test/nightly. */
const tests = join(dirname(fileURLToPath(import.meta.url)), '..');
const inputs = process.env.EMBED_FUZZ_INPUTS ?? '1000000';
const limitSeconds = 3 * 3600;
t.setTimeout(9 * limitSeconds * 1000);

const readers = [
  'codegen/checkpoint/mutation',
  'codegen/checkpoint/gguf/gguf',
  'codegen/checkpoint/pytorch/pytorch',
  'codegen/checkpoint/llama2c',
  'codegen/checkpoint/crystal-file',
  'codegen/checkpoint/prequantized/prequantized',
  'codegen/tokenizer/gguf-tokenizer',
  'codegen/tokenizer/sentencepiece-model',
];

for (const reader of readers) {
  t.test(`${reader}: ${inputs} damaged inputs`, async (t) => {
    const env = { ...process.env, EMBED_FUZZ_INPUTS: inputs, TAP_TIMEOUT: String(limitSeconds) };
    const child = spawn(process.execPath, [join(tests, `${reader}.test.js`)], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: limitSeconds * 1000,
    });
    const failures: string[] = [];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      failures.push(...text.split('\n').filter((line) => /^ *not ok/.test(line)));
    });
    child.stderr.resume();
    const [code, signal] = await once(child, 'close');
    t.same(failures, []);
    t.same([code, signal], [0, null]);
  });
}
