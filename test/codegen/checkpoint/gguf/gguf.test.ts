/** GGUF: every type against an independent encoder, names and order of rows, and what is refused. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GGMLQuantizationType, gguf } from '@huggingface/gguf';
import t, { type Test } from 'tap';
import { blockCodecs } from '../../../../codegen/checkpoint/gguf/block-codecs.js';
import { bundledModelPath } from '../../../../codegen/checkpoint/model-source.js';
import { openCheckpoint } from '../../../../codegen/checkpoint/open.js';
import { ropeFrequencies } from '../../../../codegen/graph/rope-frequencies.js';
import { expectError } from '../expect-error.js';
import { fuzzReader, generator } from '../fuzz-reader.js';
import { readEverything } from '../read-everything.js';
import { writeSafetensors } from '../safetensors-writer.js';
import { tinyTensor, tinyValues, writeTinyModel } from '../tiny-model.js';
import { blockEncoders, encodeMatrix } from './block-encoders.js';
import { type Value, writeGguf } from './gguf-writer.js';
import { llamaGguf } from './llama-gguf.js';

function tiny(t: Test, changes: Record<string, Value | undefined> = {}) {
  const checkpoint = openCheckpoint(writeTinyModel(join(t.testdir(), 'huggingface')));
  const made = llamaGguf(checkpoint, () => 'F16');
  checkpoint.close();
  const metadata: Record<string, Value> = {};
  for (const [key, value] of Object.entries({ ...made.metadata, ...changes })) {
    if (value !== undefined) metadata[key] = value;
  }
  return { ...made, metadata };
}

t.test('every block type holds what the encoder put there, for codes and scales of all sizes', (t) => {
  const next = generator(7);
  for (const [dtype, { elements, encode }] of Object.entries(blockEncoders)) {
    const codec = blockCodecs[dtype as keyof typeof blockCodecs];
    t.equal(codec.elements, elements);
    for (let times = 0; times < 40; times++) {
      const spread = [1e-3, 1, 30][times % 3]!;
      const values = Float32Array.from({ length: elements }, () => ((next(2001) - 1000) / 1000) * spread);
      if (times % 5 === 0) values.fill(0, 0, elements / 2);
      const block = encode(values);
      t.equal(block.bytes.length, codec.bytes, dtype);
      const out = new Float32Array(elements);
      codec.decode(block.bytes, out);
      // -0 and 0 are the same weight.
      const differing = block.values.findIndex((value, i) => value !== out[i]);
      if (differing >= 0)
        t.fail(`${dtype}: element ${differing} is ${out[differing]}, not ${block.values[differing]}`);
    }
  }
  t.end();
});

for (const dtype of ['F32', 'F16', 'BF16', ...Object.keys(blockEncoders)]) {
  t.test(`os-nano in ${dtype} reads back as the encoder left it, and the second reader agrees`, async (t) => {
    const source = openCheckpoint(bundledModelPath);
    t.teardown(() => source.close());
    const path = join(t.testdir(), 'os-nano.gguf');
    const block = blockEncoders[dtype]?.elements ?? 1;
    const dtypeOf = (_: string, columns: number) => (columns % block === 0 ? dtype : 'Q8_0');
    const { metadata, tensors, expected } = llamaGguf(source, dtypeOf);
    writeFileSync(path, writeGguf(metadata, tensors, { version: dtype === 'Q4_0' ? 2 : 3 }).bytes);
    const checkpoint = openCheckpoint(path);
    t.strictSame(checkpoint.config, source.config, `${dtype}: config`);
    let same = 0;
    for (const [name, values] of expected) {
      const found = checkpoint.readRows(name, 0, checkpoint.tensors.get(name)!.shape[0]!);
      if (found.every((value, i) => value === values[i])) same++;
    }
    t.equal(same, expected.size, `${dtype}: every tensor`);
    t.ok(
      [...checkpoint.tensors.values()].some((info) => info.dtype === dtype),
      `${dtype} is used`,
    );
    const second = await gguf(path, { allowLocalFile: true });
    t.equal(second.tensorInfos.length, expected.size);
    for (const { name, shape, dtype: type } of second.tensorInfos) {
      const written = tensors.find((tensor) => tensor.name === name)!;
      t.strictSame(shape.map(Number).reverse(), [...written.shape]);
      t.equal(type, written.type);
      t.ok(GGMLQuantizationType[type] !== undefined);
    }
    t.equal(second.metadata['general.architecture'], 'llama');
    checkpoint.close();
  });
}

t.test('qwen2 and qwen3 keep the order of rows, biases and norms', (t) => {
  const folder = t.testdir();
  const bias = (rows: number) => ({ dtype: 'F32', shape: [rows], data: new Uint8Array(4 * rows).fill(1) });
  const biases = Object.fromEntries(
    [0, 1].flatMap((layer) =>
      ['q', 'k', 'v'].map((name) => [
        `model.layers.${layer}.self_attn.${name}_proj.bias`,
        bias(name === 'q' ? 16 : 8),
      ]),
    ),
  );
  const config = { architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2' };
  const source = openCheckpoint(writeTinyModel(join(folder, 'qwen2'), { config, tensors: biases }));
  const { metadata, tensors, expected } = llamaGguf(source, () => 'BF16', 'qwen2');
  const path = join(folder, 'qwen2.gguf');
  writeFileSync(path, writeGguf(metadata, tensors).bytes);
  const checkpoint = openCheckpoint(path);
  t.strictSame(checkpoint.config, source.config);
  t.equal(expected.size, 26);
  for (const [name, values] of expected)
    t.strictSame(
      checkpoint.readRows(name, 0, values.length === 0 ? 0 : checkpoint.tensors.get(name)!.shape[0]!),
      values,
      name,
    );
  for (const each of [source, checkpoint]) each.close();
  t.end();
});

t.test('a GPT-2 is the same model as its Hugging Face folder', (t) => {
  const folder = t.testdir();
  const sizes = { n_embd: 32, n_head: 2, n_layer: 1, n_positions: 24, vocab_size: 40 };
  const shapes: Record<string, number[]> = {
    'transformer.wte.weight': [40, 32],
    'transformer.wpe.weight': [24, 32],
    'transformer.h.0.attn.c_attn.weight': [32, 96],
    'transformer.h.0.attn.c_proj.weight': [32, 32],
    'transformer.h.0.mlp.c_fc.weight': [32, 128],
    'transformer.h.0.mlp.c_proj.weight': [128, 32],
  };
  for (const norm of ['h.0.ln_1', 'h.0.ln_2', 'ln_f']) {
    for (const kind of ['weight', 'bias']) shapes[`transformer.${norm}.${kind}`] = [32];
  }
  for (const [module, size] of Object.entries({
    'attn.c_attn': 96,
    'attn.c_proj': 32,
    'mlp.c_fc': 128,
    'mlp.c_proj': 32,
  })) {
    shapes[`transformer.h.0.${module}.bias`] = [size];
  }
  const tensors = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, tinyTensor(name, shape, 'F32')]),
  );
  mkdirSync(join(folder, 'huggingface'));
  const config = {
    architectures: ['GPT2LMHeadModel'],
    model_type: 'gpt2',
    eos_token_id: 3,
    bos_token_id: 3,
    ...sizes,
  };
  writeFileSync(join(folder, 'huggingface', 'config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'huggingface', 'model.safetensors'), writeSafetensors(tensors));
  const modules: Record<string, string> = {
    wte: 'token_embd',
    wpe: 'position_embd',
    ln_f: 'output_norm',
    'h.0.ln_1': 'blk.0.attn_norm',
    'h.0.ln_2': 'blk.0.ffn_norm',
    'h.0.attn.c_attn': 'blk.0.attn_qkv',
    'h.0.attn.c_proj': 'blk.0.attn_output',
    'h.0.mlp.c_fc': 'blk.0.ffn_up',
    'h.0.mlp.c_proj': 'blk.0.ffn_down',
  };
  const written = Object.entries(shapes).map(([name, shape]) => {
    const [, module, kind] = /^transformer\.(.+)\.(weight|bias)$/.exec(name)!;
    const values = tinyValues(name, shape);
    // The converter transposes what Conv1D holds as [inputs, outputs].
    const [rows, columns] = [shape[0]!, shape[1] ?? 1];
    const turned = /c_\w+\.weight$/.test(name);
    const moved = turned
      ? values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!)
      : values;
    const stored = { name: `${modules[module!]}.${kind}`, shape: turned ? [columns, rows] : shape };
    return { ...stored, type: 0, bytes: new Uint8Array(moved.buffer) };
  });
  const metadata: Record<string, Value> = {
    'general.architecture': { text: 'gpt2' },
    'gpt2.context_length': { u32: 24 },
    'gpt2.embedding_length': { u32: 32 },
    'gpt2.feed_forward_length': { u32: 128 },
    'gpt2.block_count': { u32: 1 },
    'gpt2.attention.head_count': { u32: 2 },
    'gpt2.attention.layer_norm_epsilon': { f32: 1e-5 },
    'tokenizer.ggml.bos_token_id': { u32: 3 },
    'tokenizer.ggml.eos_token_id': { u32: 3 },
  };
  const path = join(folder, 'gpt2.gguf');
  writeFileSync(path, writeGguf(metadata, written).bytes);
  const [expected, found] = [openCheckpoint(join(folder, 'huggingface')), openCheckpoint(path)];
  t.strictSame(found.config, expected.config);
  t.strictSame([...found.tensors.keys()].sort(), [...expected.tensors.keys()].sort());
  for (const { name, shape } of expected.tensors.values()) {
    t.strictSame(found.readRows(name, 0, shape[0]!), expected.readRows(name, 0, shape[0]!), name);
  }
  for (const each of [found, expected]) each.close();
  t.end();
});

t.test('what is not supported is refused by name', (t) => {
  const path = join(t.testdir(), 'model.gguf');
  const opening =
    (changes: Record<string, Value | undefined>, extra: Parameters<typeof writeGguf>[1] = []) =>
    () => {
      const { metadata, tensors } = tiny(t, changes);
      writeFileSync(
        path,
        writeGguf(metadata, [
          ...tensors.filter(({ name }) => !extra.some((each) => each.name === name)),
          ...extra,
        ]).bytes,
      );
      openCheckpoint(path).close();
    };
  const cases: [Record<string, Value | undefined>, RegExp][] = [
    [{ 'general.architecture': { text: 'mamba' } }, /general.architecture is mamba; supported: llama, qwen2/],
    [{ 'general.architecture': undefined }, /general.architecture is undefined/],
    [{ 'llama.expert_count': { u32: 8 } }, /llama.expert_count is 8; supported: 0/],
    [{ 'llama.rope.scaling.type': { text: 'yarn' } }, /rope.scaling.type is yarn; supported: none, linear/],
    [
      { 'llama.rope.dimension_count': { u32: 2 } },
      /rope.dimension_count is 2; supported: the elements of a head, 4/,
    ],
    [{ 'llama.attention.value_length': { u32: 8 } }, /attention.value_length is 8/],
    [{ 'llama.attention.sliding_window': { u32: 8 } }, /sliding_window is 8/],
  ];
  for (const [changes, pattern] of cases) expectError(t, 'EM1035', pattern, opening(changes));
  const factors = (count: number, value: number) => ({
    ...{ name: 'rope_freqs.weight', shape: [count], type: 0 },
    bytes: new Uint8Array(Float32Array.from({ length: count }, () => value).buffer),
  });
  expectError(t, 'EM1035', /rope_freqs.weight is of shape 3; supported: 2/, opening({}, [factors(3, 1)]));
  expectError(t, 'EM1006', /factors .*expected: positive numbers/, opening({}, [factors(2, 0)]));
  for (const [type, name] of [
    [16, 'IQ2_XXS'],
    [29, 'IQ1_M'],
    [39, 'MXFP4'],
    [77, 'ggml type 77'],
  ] as const) {
    const odd = { name: 'blk.0.attn_v.weight', shape: [8, 16], type, bytes: new Uint8Array(64) };
    expectError(t, 'EM1014', new RegExp(`v_proj.weight: dtype ${name};`), opening({}, [odd]));
  }
  expectError(t, 'EM1005', /hidden_size is missing/, opening({ 'llama.embedding_length': undefined }));
  expectError(t, 'EM1006', /num_hidden_layers is 1000/, opening({ 'llama.block_count': { u32: 1000 } }));
  expectError(t, 'EM1015', /layers.2/, opening({ 'llama.block_count': { u32: 3 } }));
  t.end();
});

t.test('linear scaling of rope, a context of 64 bits, a theta that float32 rounds', (t) => {
  const path = join(t.testdir(), 'model.gguf');
  const { metadata, tensors } = tiny(t, {
    'llama.rope.scaling.type': { text: 'linear' },
    'llama.rope.scaling.factor': { f32: 2.5 },
    'llama.context_length': { u64: 4096n },
    'llama.attention.layer_norm_rms_epsilon': { f32: 1e-6 },
  });
  writeFileSync(
    path,
    writeGguf({ 'general.alignment': { u32: 64 }, ...metadata }, tensors, { alignment: 64 }).bytes,
  );
  const checkpoint = openCheckpoint(path);
  t.match(checkpoint.config, {
    ropeScaling: { kind: 'linear', factor: 2.5 },
    contextLength: 4096,
    normEpsilon: 1e-6,
  });
  checkpoint.close();
  t.end();
});

t.test('divisors of rope frequencies, as converters store the scaling of Llama 3', (t) => {
  const path = join(t.testdir(), 'model.gguf');
  const { metadata, tensors } = tiny(t, {});
  const bytes = new Uint8Array(Float32Array.of(1, 8).buffer);
  const factors = { name: 'rope_freqs.weight', shape: [2], type: 0, bytes };
  writeFileSync(path, writeGguf(metadata, [...tensors, factors]).bytes);
  const checkpoint = openCheckpoint(path);
  t.teardown(() => checkpoint.close());
  const { config } = checkpoint;
  t.match(config, { ropeScaling: { kind: 'factors', factors: [1, 8] } });
  if (config.family !== 'llama') throw new Error(config.family);
  const plain = ropeFrequencies({ ...config, ropeScaling: { kind: 'default' } });
  t.same(ropeFrequencies(config), Float64Array.of(plain[0]!, plain[1]! / 8));
  t.end();
});

t.test('headers that are damaged or ask for the impossible', (t) => {
  const path = join(t.testdir(), 'model.gguf');
  const { metadata, tensors } = tiny(t);
  const { bytes } = writeGguf(metadata, tensors);
  const edited = (edit: (bytes: Buffer) => void) => () => {
    const changed = Buffer.from(bytes);
    edit(changed);
    writeFileSync(path, changed);
    openCheckpoint(path).close();
  };
  const written = (content: Buffer) => () => {
    writeFileSync(path, content);
    openCheckpoint(path).close();
  };
  expectError(
    t,
    'EM1034',
    /of version 1; 2 and 3/,
    edited((b) => b.writeUInt32LE(1, 4)),
  );
  expectError(
    t,
    'EM1034',
    /big-endian/,
    edited((b) => b.writeUInt32BE(3, 4)),
  );
  expectError(
    t,
    'EM1034',
    /number of tensors is 1152921504606846976/,
    edited((b) => b.writeBigUInt64LE(2n ** 60n, 8)),
  );
  expectError(
    t,
    'EM1034',
    /number of keys is 18446744073709551615/,
    edited((b) => b.writeBigUInt64LE(2n ** 64n - 1n, 16)),
  );
  expectError(
    t,
    'EM1034',
    /length of a key is/,
    edited((b) => b.writeBigUInt64LE(2n ** 40n, 24)),
  );
  const nested = { ...metadata, nested: { texts: [] } };
  const other = writeGguf(nested, tensors).bytes;
  // The type of the items: an array of arrays could nest without end.
  other.writeUInt32LE(9, other.indexOf('nested') + 6 + 4);
  expectError(t, 'EM1034', /nested is an array of type 9/, written(other));
  const twice = writeGguf(metadata, [tensors[0]!, ...tensors]).bytes;
  expectError(t, 'EM1034', /two tensors are called/, written(twice));
  const first = bytes.indexOf(tensors[0]!.name) + tensors[0]!.name.length;
  expectError(
    t,
    'EM1034',
    /has 9 dimensions/,
    edited((b) => b.writeUInt32LE(9, first)),
  );
  const sizes = first + 4 + 8 * tensors[0]!.shape.length;
  expectError(
    t,
    'EM1034',
    /no multiple of 32/,
    edited((b) => b.writeBigUInt64LE(1n, sizes + 4)),
  );
  expectError(
    t,
    'EM1034',
    /ends at byte/,
    edited((b) => b.writeBigUInt64LE(1n << 40n, sizes + 4)),
  );
  expectError(
    t,
    'EM1034',
    /overlaps/,
    edited((b) => b.writeBigUInt64LE(32n, sizes + 4)),
  );
  const ragged = { name: 'ragged', shape: [2, 40], ...encodeMatrix('Q4_0', new Float32Array(96)) };
  expectError(t, 'EM1034', /rows of 40 values in blocks of 32/, written(writeGguf(metadata, [ragged]).bytes));
  t.end();
});

t.test('damaged files are read or refused by number', (t) => {
  const { metadata, tensors } = tiny(t, {
    'tokenizer.ggml.tokens': { texts: ['a', 'b'] },
    'tokenizer.ggml.scores': { floats: [0, 1] },
    'a.double': { f64: 1 },
    'a.bool': { bool: true },
  });
  const { bytes, boundaries } = writeGguf(metadata, tensors);
  fuzzReader(t, join(t.testdir(), 'damaged.gguf'), [{ name: 'tiny', bytes, boundaries }], readEverything);
  t.end();
});
