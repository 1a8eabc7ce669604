/**
 * .crystal files against what the public compilers wrote into them: hashes of every tensor as the public runtime decodes it and with
 * the scales that files of version 1 do not store (test/data/crystal-files/expected.json).
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import {
  type CrystalCompletion,
  parseCompletion,
  readCompletion,
} from '../../../codegen/checkpoint/crystal-completion.js';
import { type CompletionChoice, openCrystalFile } from '../../../codegen/checkpoint/crystal-file.js';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { buildGraph } from '../../../codegen/graph/build.js';
import { root } from '../../templates/c-compiler.js';
import { expectError } from './expect-error.js';
import { fuzzInputs } from './fuzz-inputs.js';

interface Expected {
  readonly source: string;
  readonly tensors: Readonly<Record<string, string>>;
  readonly true_scales_not_stored: Readonly<Record<string, readonly [number, number]>>;
  readonly tensors_true_scales?: Readonly<Record<string, string>>;
  readonly neuron_order_not_stored?: readonly number[];
}

const data = join(root, 'test', 'data', 'crystal-files');
const expectedOf = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, Expected>;
const expected = expectedOf(join(data, 'expected.json'));
const folder = mkdtempSync(join(tmpdir(), 'embed-model-crystal-files-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

/** What a file of version 1 leaves out, from the list of its writer. */
function completionOf({
  true_scales_not_stored: scales,
  neuron_order_not_stored: order,
}: Expected): CrystalCompletion {
  const field = (name: string) => {
    const pair = Object.entries(scales).find(([key]) => key.includes(name))?.[1];
    return pair === undefined ? undefined : { scale: pair[0], offset: pair[1] };
  };
  const given = { pos_embed: field('pos_embed'), values: field('values'), temperature: field('temperature') };
  const present = Object.entries(given).filter(([, value]) => value !== undefined);
  return parseCompletion(
    { ...Object.fromEntries(present), ...(order === undefined ? {} : { order }) },
    'test',
  );
}

const sha256 = (values: Float32Array) =>
  createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');

/** [rows, columns] as [columns, rows]. */
function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(values, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
}

/** Hashes of the tensors that expected.json lists, as a file is decoded. */
function hashesOf(path: string, completion: CompletionChoice): Record<string, string> {
  const checkpoint = openCrystalFile(path, completion);
  const read = (name: string) => {
    const { shape } = checkpoint.tensors.get(name)!;
    const values = checkpoint.readRows(name, 0, shape[0]!);
    return name === 'field.values' ? transpose(values, shape[0]!, shape[1]!) : values;
  };
  const hashes = {
    token_embed: sha256(read('token_embed.weight')),
    pos_embed: sha256(read('pos_embed.weight')),
    positions: sha256(read('field.positions')),
    values: sha256(read('field.values')),
    temperature: sha256(read('field.temperature')),
    head: sha256(read('head.weight')),
    head_bias: sha256(read('head.bias')),
  };
  checkpoint.close();
  return hashes;
}

for (const [name, file] of Object.entries(expected)) {
  t.test(name, async (t) => {
    const path = join(data, `${name}.crystal`);
    // With both flags of version 2 the head is float32 behind four scales, which the public runtime takes for integers.
    const runtime = (expected[name.replace('+mixed8', '')] ?? file).tensors;
    t.same(hashesOf(path, 'as-runtime'), runtime, 'as the public runtime reads it');
    const completion = completionOf(file);
    const lacking = Object.keys(file.true_scales_not_stored).length > 0;
    if (lacking) {
      const { order: _, ...scalesOnly } = completion;
      t.same(hashesOf(path, scalesOnly), file.tensors_true_scales, 'with the scales of its writer');
      expectError(t, 'EM1061', /not the scales of (pos_embed, )?values, temperature/, () =>
        openCheckpoint(path),
      );
    } else t.same(hashesOf(path, null), runtime, 'nothing is missing');
    const checkpoint = openCheckpoint(path, completion);
    t.match(buildGraph(checkpoint, 8), { family: 'crystal', layerCount: 1 });
    t.same(checkpoint.warnings, [], 'with scales and order nothing is in doubt');
    checkpoint.close();
  });
}

t.test(
  'the order of temperatures is in doubt unless all or no neurons are frozen, or all are equal',
  async (t) => {
    const warningsOf = (name: string) => {
      const { order: _, ...completion } = completionOf(expected[name]!);
      const checkpoint = openCheckpoint(join(data, `${name}.crystal`), completion);
      checkpoint.close();
      return checkpoint.warnings;
    };
    t.match(warningsOf('v1-float32'), [/temperatures in the order of the model/]);
    t.match(warningsOf('v1-int8'), [/where the first 19 neurons are the frozen ones/]);
    for (const name of ['v1-allfrozen-int8', 'v1-nofrozen-int8', 'v1-constT-int8', 'v2-flat-mixed8'])
      t.same(warningsOf(name), [], name);
  },
);

t.test('version 2 and float32 files hold the weights of the PyTorch checkpoint', async (t) => {
  const bytes = readFileSync(join(data, 'tiny-causal.safetensors'));
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const entries = JSON.parse(bytes.subarray(8, 8 + headerBytes).toString()) as Record<
    string,
    { data_offsets: [number, number] }
  >;
  const stored = (name: string) => {
    const [from, to] = entries[name]!.data_offsets;
    return sha256(
      new Float32Array(
        bytes.buffer.slice(
          bytes.byteOffset + 8 + headerBytes + from,
          bytes.byteOffset + 8 + headerBytes + to,
        ),
      ),
    );
  };
  const checkpoint = openCheckpoint(join(data, 'v2-causal-float32.crystal'));
  const pairs = [
    ['attn.out.weight', 'causal_attn.out_proj.weight'],
    ['attn.q.bias', 'causal_attn.q_proj.bias'],
    ['attn_norm.bias', 'norm_causal.bias'],
    ['field_norm.weight', 'norm_geo.weight'],
    ['mlp_norm.bias', 'norm_ffn.bias'],
    ['mlp.up.weight', 'ffn.0.weight'],
    ['mlp.down.bias', 'ffn.2.bias'],
    ['field.temperature', 'geo_attn.temperature'],
    ['head.bias', 'head.bias'],
  ] as const;
  for (const [name, tensor] of pairs)
    t.equal(
      sha256(checkpoint.readRows(name, 0, checkpoint.tensors.get(name)!.shape[0]!)),
      stored(tensor),
      name,
    );
  checkpoint.close();
});

t.test('scales from a file', async (t) => {
  const path = join(folder, 'scales.json');
  const scale = { scale: 0.5, offset: -1 };
  writeFileSync(path, JSON.stringify({ values: scale, order: [1, 0] }));
  t.same(readCompletion(path), { scales: { values: scale }, order: [1, 0] });
  const refused = (value: unknown, why: RegExp) =>
    expectError(t, 'EM1062', why, () => parseCompletion(value, 'scales.json'));
  refused([], /not a JSON object/);
  refused({ embed: scale }, /field "embed" is not known/);
  refused({ values: { scale: -1, offset: 0 } }, /values must be/);
  refused({ values: { scale: 1 } }, /values must be/);
  refused({ order: [0, 0] }, /every neuron once/);
  refused({ order: ['a'] }, /every neuron once/);
  const short = { ...completionOf(expected['v1-int8']!), order: [1, 0] };
  expectError(t, 'EM1062', /names 2 neurons/, () => openCheckpoint(join(data, 'v1-int8.crystal'), short));
});

t.test('damaged files are refused with a number, whatever is changed in them', async (t) => {
  const path = join(folder, 'damaged.crystal');
  let refusals = 0;
  const attempt = (bytes: Buffer) => {
    writeFileSync(path, bytes);
    try {
      openCrystalFile(path, 'as-runtime').close();
    } catch (error) {
      if (!(error instanceof EmbedError)) throw error;
      if (!['EM1060', 'EM1010'].includes(error.code)) throw error;
      refusals++;
    }
  };
  let state = 12345;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % below;
  };
  const files = Object.keys(expected).map((name) => readFileSync(join(data, `${name}.crystal`)));
  let headerChanges = 0;
  for (let i = 0; i < fuzzInputs; i++) {
    const bytes = Buffer.from(files[i % files.length]!);
    if (i % 4 === 3) attempt(bytes.subarray(0, random(bytes.length)));
    else {
      const before = bytes.subarray(0, 64).toString('hex');
      for (let n = 1 + random(3); n > 0; n--) {
        const at = random(i % 2 === 0 ? 64 : bytes.length - 3);
        if (random(2) === 0) bytes[at] = random(256);
        else bytes.writeUInt16LE([0, 1, 0xffff, 0x8000][random(4)]!, at);
      }
      if (before !== bytes.subarray(0, 64).toString('hex')) headerChanges++;
      attempt(bytes);
    }
  }
  for (const bytes of files) {
    for (let at = 0; at < 64; at += 2)
      attempt(Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]));
    attempt(Buffer.concat([bytes, Buffer.of(0)]));
  }
  t.ok(refusals > 1000, `${refusals} refused; ${headerChanges} headers were changed`);
});

const shared = join(root, '..', 'shared', 'models', 'crystal-files');
t.test('files of a trained model', { skip: !existsSync(shared) && 'no ../shared' }, async (t) => {
  const all = (
    JSON.parse(readFileSync(join(shared, 'expected.json'), 'utf8')) as { files: Record<string, Expected> }
  ).files;
  for (const name of ['v1-int8', 'v1-mixed8']) {
    const path = join(shared, `${name}.crystal`);
    t.same(hashesOf(path, 'as-runtime'), all[name]!.tensors, `${name} as the public runtime reads it`);
    t.same(
      hashesOf(path, completionOf(all[name]!)),
      all[name]!.tensors_true_scales,
      'with the scales of its writer',
    );
  }
});
