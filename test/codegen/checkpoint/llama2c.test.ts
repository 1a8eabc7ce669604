import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import t from 'tap';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import { storedRopeRow } from '../../../codegen/checkpoint/rope-row-order.js';
import { expectError } from './expect-error.js';
import { fuzzReader } from './fuzz-reader.js';
import { type Llama2cHeader, tinyLlama2c, writeLlama2c, writeVersioned } from './llama2c-writer.js';
import { readEverything } from './read-everything.js';

const stories = fileURLToPath(
  new URL('../../../../../shared/models/stories260K/stories260K.bin', import.meta.url),
);

t.test('sizes, constants and names', (t) => {
  const path = join(t.testdir(), 'tiny.bin');
  writeFileSync(path, writeLlama2c(tinyLlama2c).bytes);
  const checkpoint = openCheckpoint(path);
  t.teardown(() => checkpoint.close());
  t.equal(checkpoint.format, 'llama2c');
  t.equal(checkpoint.name, 'tiny.bin');
  t.strictSame(checkpoint.config, {
    family: 'llama',
    architecture: 'llama2.c',
    vocabSize: 11,
    hiddenSize: 24,
    intermediateSize: 10,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    headDim: 6,
    contextLength: 5,
    normEpsilon: 1e-5,
    ropeTheta: 10000,
    ropeScaling: { kind: 'default' },
    slidingWindow: null,
    qkNorm: false,
    tiedEmbedding: true,
    bosId: 1,
    eosIds: [1, 2],
  });
  t.equal(checkpoint.tensors.size, 2 + 9 * 2);
  t.strictSame(checkpoint.tensors.get('model.layers.1.self_attn.k_proj.weight')!.shape, [12, 24]);
  t.notOk(checkpoint.tensors.has('lm_head.weight'));
  t.end();
});

t.test('every matrix is found where llama2.c puts it', (t) => {
  const folder = t.testdir();
  const hfName: Record<string, string> = {
    token_embedding_table: 'model.embed_tokens',
    rms_att_weight: 'input_layernorm',
    wv: 'self_attn.v_proj',
    wo: 'self_attn.o_proj',
    rms_ffn_weight: 'post_attention_layernorm',
    w1: 'mlp.gate_proj',
    w2: 'mlp.down_proj',
    w3: 'mlp.up_proj',
    rms_final_weight: 'model.norm',
    wcls: 'lm_head',
  };
  const cases = [0, 1, 2].flatMap((version) =>
    [tinyLlama2c, { ...tinyLlama2c, vocab: -11 }].map((header) => ({ version, header })),
  );
  for (const { version, header } of cases) {
    const { bytes, matrices } =
      version === 0 ? writeLlama2c(header) : writeVersioned(header, version === 1 ? 1 : 2);
    const path = join(folder, `${header.vocab}-${version}.bin`);
    writeFileSync(path, bytes);
    const checkpoint = openCheckpoint(path);
    const layered = (name: string) =>
      /^(model|lm_head)/.test(name)
        ? [`${name}.weight`]
        : [0, 1].map((i) => `model.layers.${i}.${name}.weight`);
    for (const [matrix, values] of Object.entries(matrices)) {
      if (!(matrix in hfName)) continue;
      const read = layered(hfName[matrix]!).flatMap((name) => [
        ...checkpoint.readRows(name, 0, checkpoint.tensors.get(name)!.shape[0]!),
      ]);
      t.strictSame(read, [...values], `version ${version}, ${header.vocab}, ${matrix}`);
    }
    t.equal(checkpoint.formatText, `llama2.c version ${version}`);
    t.equal(checkpoint.config.tiedEmbedding, header.vocab > 0);
    t.equal(checkpoint.tensors.has('lm_head.weight'), header.vocab < 0);
    checkpoint.close();
  }
  t.end();
});

for (const version of [0, 1, 2] as const)
  t.test(`version ${version}: rows of q and k are reordered, whole matrices and single rows alike`, (t) => {
    const { bytes, matrices } =
      version === 0 ? writeLlama2c(tinyLlama2c) : writeVersioned(tinyLlama2c, version);
    const path = join(t.testdir(), 'tiny.bin');
    writeFileSync(path, bytes);
    const checkpoint = openCheckpoint(path);
    t.teardown(() => checkpoint.close());
    // Heads of 6: elements 0, 2, 4 (first of each pair), then 1, 3, 5.
    const order = [0, 2, 4, 1, 3, 5];
    for (const [matrix, name, rows] of [
      ['wq', 'q_proj', 24],
      ['wk', 'k_proj', 12],
    ] as const) {
      for (const layer of [0, 1]) {
        const tensor = `model.layers.${layer}.self_attn.${name}.weight`;
        const whole = checkpoint.readRows(tensor, 0, rows);
        for (let row = 0; row < rows; row++) {
          const source = layer * rows + 6 * Math.floor(row / 6) + order[row % 6]!;
          const expected = matrices[matrix]!.subarray(24 * source, 24 * source + 24);
          t.strictSame(whole.subarray(24 * row, 24 * row + 24), expected);
          t.strictSame(checkpoint.readRows(tensor, row, 1), expected);
        }
      }
    }
    t.end();
  });

t.test('the reordering turns rope over pairs into rope over halves: scores are equal', (t) => {
  const headDim = 8;
  const vector = fc.array(fc.integer({ min: -9, max: 9 }), { minLength: headDim, maxLength: headDim });
  const angle = (j: number, position: number) => position * 10000 ** ((-2 * j) / headDim);
  const rotate = (x: number[], position: number, pairOf: (j: number) => [number, number]) => {
    const out = [...x];
    for (let j = 0; j < headDim / 2; j++) {
      const [a, b] = pairOf(j);
      const [cos, sin] = [Math.cos(angle(j, position)), Math.sin(angle(j, position))];
      out[a] = x[a]! * cos - x[b]! * sin;
      out[b] = x[a]! * sin + x[b]! * cos;
    }
    return out;
  };
  const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  const position = fc.nat({ max: 100 });
  fc.assert(
    fc.property(vector, vector, position, position, (query, key, m, n) => {
      const pairs = (j: number): [number, number] => [2 * j, 2 * j + 1];
      const halves = (j: number): [number, number] => [j, j + headDim / 2];
      const reorder = (x: number[]) => x.map((_, i) => x[storedRopeRow(i, headDim)]!);
      const expected = dot(rotate(query, m, pairs), rotate(key, n, pairs));
      const found = dot(rotate(reorder(query), m, halves), rotate(reorder(key), n, halves));
      return Math.abs(found - expected) < 1e-9;
    }),
    { seed: 4 },
  );
  t.end();
});

t.test('files that are cut, too long or not of this format', (t) => {
  const path = join(t.testdir(), 'tiny.bin');
  const { bytes } = writeLlama2c(tinyLlama2c);
  const opening = (content: Uint8Array) => () => {
    writeFileSync(path, content);
    openCheckpoint(path).close();
  };
  const header = (changes: Partial<Llama2cHeader>) => {
    const changed = Buffer.from(bytes);
    const fields = Object.values({ ...tinyLlama2c, ...changes });
    for (const [i, value] of fields.entries()) changed.writeInt32LE(value, 4 * i);
    return opening(changed);
  };
  expectError(t, 'EM1018', /has 0 bytes; the header alone takes 28/, opening(Buffer.alloc(0)));
  expectError(t, 'EM1018', /has 27 bytes/, opening(bytes.subarray(0, 27)));
  expectError(t, 'EM1018', /a model of the sizes in its header has/, opening(bytes.subarray(0, -4)));
  expectError(
    t,
    'EM1018',
    /a model of the sizes in its header has/,
    opening(Buffer.concat([bytes, Buffer.alloc(1)])),
  );
  expectError(t, 'EM1018', /a model of the sizes in its header has/, header({ vocab: -11 }));
  expectError(t, 'EM1018', /dim is 0/, header({ dim: 0 }));
  expectError(t, 'EM1018', /hidden_dim is -1/, header({ hidden: -1 }));
  expectError(t, 'EM1018', /n_layers is 2147483647/, header({ layers: 2 ** 31 - 1 }));
  expectError(t, 'EM1018', /vocab_size is 0/, header({ vocab: 0 }));
  expectError(t, 'EM1018', /vocab_size is -2147483648/, header({ vocab: -(2 ** 31) }));
  expectError(t, 'EM1018', /seq_len is -5/, header({ seq: -5 }));
  expectError(t, 'EM1018', /not a multiple of n_heads 5/, header({ heads: 5 }));
  expectError(t, 'EM1006', /4 query heads cannot share 3/, header({ kvHeads: 3 }));
  expectError(t, 'EM1006', /a head has 3 elements/, header({ heads: 8, kvHeads: 8 }));

  const spoilt = Buffer.from(bytes);
  spoilt.writeFloatLE(Infinity, 28 + 4 * 30);
  writeFileSync(path, spoilt);
  const checkpoint = openCheckpoint(path);
  t.teardown(() => checkpoint.close());
  expectError(t, 'EM1010', /embed_tokens.weight: element 30 \(row 1, column 6\) is Infinity/, () =>
    checkpoint.readRows('model.embed_tokens.weight', 0, 11),
  );
  t.end();
});

t.test('stories260K', { skip: !existsSync(stories) && 'no ../shared/models/stories260K' }, (t) => {
  const checkpoint = openCheckpoint(stories);
  t.teardown(() => checkpoint.close());
  let parameters = 0;
  for (const { name, shape } of checkpoint.tensors.values()) {
    parameters += checkpoint.readRows(name, 0, shape[0]!).length;
  }
  t.equal(parameters, 260_032);
  t.match(checkpoint.config, { layers: 5, heads: 8, kvHeads: 4, vocabSize: 512, tiedEmbedding: true });
  t.end();
});

t.test('versions that are damaged, unknown or of groups that do not fit', (t) => {
  const path = join(t.testdir(), 'tiny.bin');
  const changed = (version: 1 | 2, edit: (bytes: Buffer) => void, groupSize = 4) => {
    const { bytes } = writeVersioned(tinyLlama2c, version, groupSize);
    edit(bytes);
    return () => {
      writeFileSync(path, bytes);
      openCheckpoint(path).close();
    };
  };
  expectError(
    t,
    'EM1018',
    /is of version 3; versions 0, 1 and 2/,
    changed(1, (bytes) => bytes.writeInt32LE(3, 4)),
  );
  expectError(
    t,
    'EM1018',
    /vocab_size is -11/,
    changed(1, (bytes) => bytes.writeInt32LE(-11, 28)),
  );
  expectError(
    t,
    'EM1018',
    /shared_classifier is 2/,
    changed(1, (bytes) => bytes.writeUInt8(2, 36)),
  );
  expectError(
    t,
    'EM1018',
    /a model of the sizes/,
    changed(1, (bytes) => bytes.writeUInt8(0, 36)),
  );
  expectError(
    t,
    'EM1018',
    /group_size is 0/,
    changed(2, (bytes) => bytes.writeInt32LE(0, 37)),
  );
  expectError(
    t,
    'EM1018',
    /group_size is -4/,
    changed(2, (bytes) => bytes.writeInt32LE(-4, 37)),
  );
  expectError(
    t,
    'EM1018',
    /group_size 7 does not divide/,
    changed(2, (bytes) => bytes.writeInt32LE(7, 37)),
  );
  expectError(
    t,
    'EM1018',
    /a model of the sizes/,
    changed(2, (bytes) => bytes.writeInt32LE(8, 37)),
  );
  t.end();
});

t.test('a scale that is no number is refused with its place', (t) => {
  const path = join(t.testdir(), 'tiny.bin');
  const { bytes } = writeVersioned(tinyLlama2c, 2);
  // The norms, then 11 x 24 codes of the embedding: its first scale.
  bytes.writeFloatLE(Number.NaN, 256 + 4 * (2 * 24 + 2 * 24 + 24) + 11 * 24);
  writeFileSync(path, bytes);
  const checkpoint = openCheckpoint(path);
  t.teardown(() => checkpoint.close());
  const read = () => checkpoint.readRows('model.embed_tokens.weight', 0, 11);
  expectError(t, 'EM1010', /embed_tokens.weight: element 0 \(row 0, column 0\) is NaN/, read);
  t.end();
});

t.test('damaged files of every version are read or refused by number', (t) => {
  const sizes = Array.from({ length: 12 }, (_, i) => 4 * i);
  const subjects = [
    { name: 'version 0', bytes: writeLlama2c(tinyLlama2c).bytes, boundaries: sizes.slice(0, 8) },
    {
      name: 'version 1',
      bytes: writeVersioned(tinyLlama2c, 1).bytes,
      boundaries: [...sizes, 36, 37, 256, 400],
    },
    {
      name: 'version 2',
      bytes: writeVersioned(tinyLlama2c, 2).bytes,
      boundaries: [...sizes, 36, 37, 256, 400],
    },
  ];
  fuzzReader(t, join(t.testdir(), 'damaged.bin'), subjects, readEverything);
  t.end();
});

const storiesFolder = join(stories, '..');
t.test(
  'stories260K: versions 1 and 2 are the model of version 0',
  { skip: !existsSync(stories) && 'no ../shared' },
  (t) => {
    const [original, first, second] = [
      'stories260K.bin',
      'stories260K_v1_zig.bin',
      'stories260K-q8_llama2v.bin',
    ].map((name) => openCheckpoint(join(storiesFolder, name)));
    let worst = 0;
    for (const { name, shape } of original!.tensors.values()) {
      const values = original!.readRows(name, 0, shape[0]!);
      t.ok(
        Buffer.compare(
          Buffer.from(values.buffer),
          Buffer.from(first!.readRows(name, 0, shape[0]!).buffer),
        ) === 0,
        name,
      );
      const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      second!.readRows(name, 0, shape[0]!).forEach((value, i) => {
        worst = Math.max(worst, Math.abs(value - values[i]!) / largest);
      });
    }
    t.ok(worst > 0 && worst < 1 / 250, `version 2 is within half a step of its largest value: ${worst}`);
    for (const checkpoint of [original, first, second]) checkpoint!.close();
    t.end();
  },
);
