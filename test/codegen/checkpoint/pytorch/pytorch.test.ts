/** PyTorch files: what is read, what is refused by name, and that nothing is ever run or inflated. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { BoundedFile } from '../../../../codegen/checkpoint/bounded-file.js';
import { openCheckpoint } from '../../../../codegen/checkpoint/open.js';
import { crystalSettings } from '../../../../codegen/checkpoint/pytorch/crystal-settings.js';
import { PickleDict } from '../../../../codegen/checkpoint/pytorch/pickle-values.js';
import {
  type PytorchFile,
  readPytorchFile,
} from '../../../../codegen/checkpoint/pytorch/read-pytorch-file.js';
import { needsShared, sharedPath } from '../../tokenizer/shared-data.js';
import { expectError } from '../expect-error.js';
import { fuzzReader } from '../fuzz-reader.js';
import { tinyLlama2c, writeLlama2c } from '../llama2c-writer.js';
import { readEverything } from '../read-everything.js';
import { encodeFloats } from '../safetensors-writer.js';
import { tinyConfig, tinyShapes, tinyValues } from '../tiny-model.js';
import { SavedCall, SavedTensor, writePytorch, writeZip, type ZipOptions } from './pytorch-writer.js';

function tinyState(
  storage: 'FloatStorage' | 'HalfStorage' | 'BFloat16Storage',
  prefix = '',
): Record<string, SavedTensor> {
  const dtype = ({ FloatStorage: 'F32', HalfStorage: 'F16', BFloat16Storage: 'BF16' } as const)[storage];
  return Object.fromEntries(
    Object.entries(tinyShapes).map(([name, shape]) => {
      return [prefix + name, new SavedTensor(storage, encodeFloats(dtype, tinyValues(name, shape)), shape)];
    }),
  );
}

function write(t: Test, value: unknown, options: ZipOptions = {}): string {
  const path = join(t.testdir(), 'model.pt');
  writeFileSync(path, writePytorch(value, options).bytes);
  return path;
}

function reading<T>(path: string, use: (content: PytorchFile) => T): T {
  const file = BoundedFile.open(path);
  try {
    return use(readPytorchFile(file));
  } finally {
    file.close();
  }
}

t.test('the tensors of a folder with pytorch_model.bin, whatever their type and wrapper', (t) => {
  for (const storage of ['FloatStorage', 'HalfStorage', 'BFloat16Storage'] as const) {
    for (const wrap of [
      (state: object) => state,
      (state: object) => ({ model: state, epoch: 3, note: 'a' }),
    ]) {
      const folder = t.testdir();
      writeFileSync(join(folder, 'config.json'), JSON.stringify(tinyConfig));
      const state = tinyState(storage, storage === 'HalfStorage' ? '_orig_mod.' : '');
      writeFileSync(join(folder, 'pytorch_model.bin'), writePytorch(wrap(state)).bytes);
      const checkpoint = openCheckpoint(folder);
      t.equal(checkpoint.formatText, 'Hugging Face folder with pytorch_model.bin');
      for (const [name, shape] of Object.entries(tinyShapes)) {
        t.strictSame(checkpoint.readRows(name, 0, shape[0]!), tinyValues(name, shape), name);
      }
      checkpoint.close();
    }
  }
  t.end();
});

t.test('a file alone, with a config.json beside it, or with nothing that says what it is', (t) => {
  const path = write(t, tinyState('FloatStorage'));
  expectError(t, 'EM1033', /holds no model_args, config/, () => openCheckpoint(path));
  writeFileSync(join(path, '..', 'config.json'), JSON.stringify(tinyConfig));
  const checkpoint = openCheckpoint(path);
  t.equal(checkpoint.format, 'pytorch');
  t.equal(checkpoint.config.vocabSize, 12);
  checkpoint.close();
  t.end();
});

t.test('a checkpoint of the train.py of llama2.c is the model that its export.py writes', (t) => {
  const { dim, hidden, layers, heads, kvHeads, vocab, seq } = tinyLlama2c;
  const { bytes, matrices } = writeLlama2c(tinyLlama2c);
  const keys = (dim / heads) * kvHeads;
  const tensor = (matrix: string, layer: number, shape: number[]) => {
    const size = shape.reduce((product, value) => product * value, 1);
    const values = matrices[matrix]!.slice(layer * size, (layer + 1) * size);
    return new SavedTensor('FloatStorage', new Uint8Array(values.buffer), shape);
  };
  const state: Record<string, SavedTensor> = {
    'tok_embeddings.weight': tensor('token_embedding_table', 0, [vocab, dim]),
    'norm.weight': tensor('rms_final_weight', 0, [dim]),
  };
  for (let layer = 0; layer < layers; layer++) {
    const shapes: Record<string, [string, number[]]> = {
      attention_norm: ['rms_att_weight', [dim]],
      'attention.wq': ['wq', [dim, dim]],
      'attention.wk': ['wk', [keys, dim]],
      'attention.wv': ['wv', [keys, dim]],
      'attention.wo': ['wo', [dim, dim]],
      ffn_norm: ['rms_ffn_weight', [dim]],
      'feed_forward.w1': ['w1', [hidden, dim]],
      'feed_forward.w2': ['w2', [dim, hidden]],
      'feed_forward.w3': ['w3', [hidden, dim]],
    };
    for (const [name, [matrix, shape]] of Object.entries(shapes)) {
      state[`_orig_mod.layers.${layer}.${name}.weight`] = tensor(matrix, layer, shape);
    }
  }
  const model_args = {
    dim,
    n_layers: layers,
    n_heads: heads,
    n_kv_heads: kvHeads,
    vocab_size: vocab,
    max_seq_len: seq,
  };
  const path = write(t, { model: state, model_args, iter_num: 7, config: { batch_size: 4 } });
  const exported = join(path, '..', 'model.bin');
  writeFileSync(exported, bytes);
  const [saved, expected] = [openCheckpoint(path), openCheckpoint(exported)];
  t.strictSame(saved.config, { ...expected.config, architecture: 'LlamaForCausalLM' });
  for (const { name, shape } of expected.tensors.values()) {
    t.strictSame(saved.readRows(name, 0, shape[0]!), expected.readRows(name, 0, shape[0]!), name);
  }
  for (const checkpoint of [saved, expected]) checkpoint.close();
  t.end();
});

t.test('views into a shared storage, other types, other strides', (t) => {
  const shared = encodeFloats('F32', Float32Array.of(1, 2, 3, 4, 5, 6));
  const float = (options: object, shape: number[]) =>
    new SavedTensor('FloatStorage', shared, shape, { member: 'shared', ...options });
  const path = write(t, {
    whole: float({}, [2, 3]),
    part: float({ offset: 2 }, [2, 2]),
    turned: float({ strides: [1, 3] }, [3, 2]),
    single: float({ strides: [99, 1], offset: 1 }, [1, 4]),
    double: new SavedTensor('DoubleStorage', new Uint8Array(Float64Array.of(0.1, -2).buffer), [2]),
    steps: new SavedTensor('LongStorage', new Uint8Array(8), []),
  });
  reading(path, ({ tensors }) => {
    t.strictSame([...tensors.get('whole')!.readRows(0, 2)], [1, 2, 3, 4, 5, 6]);
    t.strictSame([...tensors.get('part')!.readRows(0, 2)], [3, 4, 5, 6]);
    t.strictSame([...tensors.get('single')!.readRows(0, 1)], [2, 3, 4, 5]);
    t.strictSame([...tensors.get('double')!.readRows(0, 2)], [Math.fround(0.1), -2]);
    expectError(t, 'EM1014', /turned: dtype F32 with strides 1, 3/, () =>
      tensors.get('turned')!.readRows(0, 1),
    );
    expectError(t, 'EM1014', /steps: dtype I64/, () => tensors.get('steps')!.readRows(0, 1));
  });
  t.end();
});

t.test('names and opcodes that a checkpoint does not need are refused by name and never run', (t) => {
  const state = { w: new SavedTensor('FloatStorage', new Uint8Array(4), [1]) };
  const opening = (value: unknown) => () => reading(write(t, value), () => {});
  for (const [module, name] of [
    ['os', 'system'],
    ['posix', 'system'],
    ['builtins', 'eval'],
    ['__builtin__', 'exec'],
    ['torch.storage', '_load_from_bytes'],
    ['numpy.core.multiarray', 'scalar'],
    ['argparse', 'Namespace'],
    ['torch', 'FloatStorage.__init__'],
    ['collections', 'OrderedDict.fromkeys'],
    ['__main__', 'GPTConfig'],
  ]) {
    const call = new SavedCall(module!, name!, ['touch marker']);
    const pattern = new RegExp(`names ${module}\\.${name}`.replaceAll('.', '\\.').replaceAll('\\\\.', '\\.'));
    expectError(t, 'EM1031', pattern, opening({ ...state, extra: call }));
  }
  const pickle = (...bytes: (number | string)[]) => {
    const content = Buffer.concat(
      bytes.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from([part]))),
    );
    return openingPickle(t, content);
  };
  // INST, OBJ, NEWOBJ, REDUCE of a value, EXT1, PERSID, INT, LONG, STRING, UNICODE.
  for (const opcode of [0x69, 0x6f, 0x81, 0x82, 0x50, 0x49, 0x4c, 0x53, 0x56, 0x92]) {
    expectError(
      t,
      'EM1031',
      /opcode 0x.. .*at byte 2 is none/,
      pickle(0x80, 2, opcode, 'os\nsystem\n', 0x2e),
    );
  }
  expectError(t, 'EM1030', /calls a value that is no function/, pickle(0x80, 2, 0x4b, 1, 0x29, 0x52, 0x2e));
  expectError(t, 'EM1031', /of pickle protocol 6/, pickle(0x80, 6, 0x7d, 0x2e));
  expectError(t, 'EM1031', /a number of 255 bytes/, pickle(0x80, 2, 0x8a, 255, 0x2e));
  expectError(t, 'EM1030', /takes a value from an empty stack/, pickle(0x80, 2, 0x2e));
  expectError(t, 'EM1030', /recalls value 7/, pickle(0x80, 2, 0x68, 7, 0x2e));
  expectError(t, 'EM1030', /ends at byte 3/, pickle(0x80, 2, 0x58));
  expectError(
    t,
    'EM1030',
    /a length of 1152921504606846976/,
    pickle(0x80, 4, 0x8d, '\0\0\0\0\0\0\0\x10', 0x2e),
  );
  expectError(t, 'EM1030', /no dict of tensors/, pickle(0x80, 2, 0x4b, 1, 0x2e));
  expectError(t, 'EM1030', /holds nothing, but no tensors/, pickle(0x80, 2, 0x7d, 0x2e));
  t.end();
});

function openingPickle(t: Test, pickle: Uint8Array): () => void {
  const path = join(t.testdir(), 'pickle.pt');
  return () => {
    writeFileSync(path, writeZip(new Map([['archive/data.pkl', pickle]])).bytes);
    reading(path, () => {});
  };
}

t.test('archives that are damaged, compressed or of another kind', (t) => {
  const state = { w: new SavedTensor('FloatStorage', new Uint8Array(8), [2]) };
  const opening =
    (options: ZipOptions, value: unknown = state) =>
    () =>
      reading(write(t, value, options), () => {});
  const members = (edit: (members: Map<string, Uint8Array>) => void) => opening({ members: edit });
  const bomb = deflateRawSync(Buffer.alloc(1 << 20));
  expectError(t, 'EM1030', /data.pkl is compressed \(method 8\)/, opening({ method: 8 }));
  expectError(t, 'EM1030', /is compressed/, () => {
    const path = join(t.testdir(), 'bomb.pt');
    writeFileSync(path, writeZip(new Map([['a/data.pkl', bomb]]), 8).bytes);
    reading(path, () => {});
  });
  expectError(
    t,
    'EM1030',
    /byteorder is "big"/,
    members((all) => all.set('archive/byteorder', Buffer.from('big'))),
  );
  expectError(
    t,
    'EM1030',
    /holds no data.pkl/,
    members((all) => all.delete('archive/data.pkl')),
  );
  expectError(
    t,
    'EM1030',
    /2 files data.pkl/,
    members((all) => all.set('b/data.pkl', Buffer.from('.'))),
  );
  expectError(
    t,
    'EM1030',
    /its storage "0" is not in the archive/,
    members((all) => all.delete('archive/data/0')),
  );
  expectError(
    t,
    'EM1030',
    /its storage of 2 F32 has 7 bytes/,
    members((all) => all.set('archive/data/0', new Uint8Array(7))),
  );
  const wide = new SavedTensor('FloatStorage', new Uint8Array(8), [3], {});
  expectError(t, 'EM1030', /elements 0 to 3 of a storage of 2/, opening({}, { wide }));
  const huge = new SavedTensor('FloatStorage', new Uint8Array(8), [2 ** 31 - 1, 2 ** 31 - 1, 2 ** 31 - 1]);
  expectError(t, 'EM1030', /of a storage of 2/, opening({}, { huge }));
  t.end();
});

t.test('an archive of more than 4 GB names its sizes in zip64 fields', (t) => {
  // The same fields on a small file: every 32-bit field says "see there".
  const state = { w: new SavedTensor('FloatStorage', encodeFloats('F32', Float32Array.of(1, 2)), [2]) };
  const { bytes } = writePytorch(state);
  const endAt = bytes.length - 22;
  const [count, size, offset] = [
    bytes.readUInt16LE(endAt + 10),
    bytes.readUInt32LE(endAt + 12),
    bytes.readUInt32LE(endAt + 16),
  ];
  const entries: Buffer[] = [];
  for (let at = offset; at < offset + size; ) {
    const nameBytes = bytes.readUInt16LE(at + 28);
    const entry = Buffer.from(bytes.subarray(at, at + 46 + nameBytes));
    const extra = Buffer.alloc(28);
    extra.writeUInt16LE(1, 0);
    extra.writeUInt16LE(24, 2);
    extra.writeBigUInt64LE(BigInt(entry.readUInt32LE(24)), 4);
    extra.writeBigUInt64LE(BigInt(entry.readUInt32LE(20)), 12);
    extra.writeBigUInt64LE(BigInt(entry.readUInt32LE(42)), 20);
    for (const field of [20, 24, 42]) entry.writeUInt32LE(0xffffffff, field);
    entry.writeUInt16LE(28, 30);
    entries.push(entry, extra);
    at += 46 + nameBytes;
  }
  const directory = Buffer.concat(entries);
  const end64 = Buffer.alloc(56 + 20);
  end64.writeUInt32LE(0x06064b50, 0);
  end64.writeBigUInt64LE(BigInt(count), 32);
  end64.writeBigUInt64LE(BigInt(directory.length), 40);
  end64.writeBigUInt64LE(BigInt(offset), 48);
  end64.writeUInt32LE(0x07064b50, 56);
  end64.writeBigUInt64LE(BigInt(offset + directory.length), 64);
  const end = Buffer.from(bytes.subarray(endAt));
  end.writeUInt16LE(0xffff, 10);
  end.writeUInt32LE(0xffffffff, 12);
  end.writeUInt32LE(0xffffffff, 16);
  const path = join(t.testdir(), 'wide.pt');
  const whole = Buffer.concat([bytes.subarray(0, offset), directory, end64, end]);
  writeFileSync(path, whole);
  reading(path, ({ tensors }) => t.strictSame([...tensors.get('w')!.readRows(0, 2)], [1, 2]));
  const sizeField = offset + directory.length + 40;
  whole.writeBigUInt64LE(2n ** 63n, sizeField);
  writeFileSync(path, whole);
  expectError(t, 'EM1030', /size of the central directory is 9223372036854775808/, () =>
    reading(path, () => {}),
  );
  t.end();
});

t.test('damaged files are read or refused by number', (t) => {
  const folder = t.testdir();
  mkdirSync(join(folder, 'model'));
  writeFileSync(join(folder, 'model', 'config.json'), JSON.stringify(tinyConfig));
  const { bytes, boundaries } = writePytorch({ model: tinyState('FloatStorage'), epoch: 3 });
  // Every tenth byte of the pickle as well: it is all structure.
  const pickle = bytes.indexOf(Buffer.from([0x80, 2, 0x7d]));
  const inPickle = Array.from({ length: 60 }, (_, i) => pickle + 10 * i);
  const path = join(folder, 'model', 'damaged.pt');
  fuzzReader(t, path, [{ name: 'tiny', bytes, boundaries: [...boundaries, ...inPickle] }], readEverything);
  t.end();
});

t.test('a public checkpoint of a small GPT', needsShared('models/slm4096-gpt/ckpt.pt'), (t) => {
  reading(sharedPath('models', 'slm4096-gpt', 'ckpt.pt'), ({ root, tensors }) => {
    t.equal(tensors.size, 57);
    t.strictSame(tensors.get('blocks.3.attn.c_attn.weight')!.shape, [192, 64]);
    t.strictSame(tensors.get('tok_emb.weight')!.readRows(0, 54), tensors.get('head.weight')!.readRows(0, 54));
    t.strictSame([...tensors.get('blocks.0.attn.mask')!.readRows(0, 1)].slice(126, 131), [0, 0, 1, 1, 0]);
    const config = root.get('config');
    t.ok(config instanceof PickleDict && config.get('n_layer') === 4);
  });
  t.end();
});

t.test('that checkpoint is a GPT-2 with its own names', needsShared('models/slm4096-gpt/ckpt.pt'), (t) => {
  const checkpoint = openCheckpoint(sharedPath('models', 'slm4096-gpt', 'ckpt.pt'));
  t.match(checkpoint.config, {
    family: 'gpt2',
    layers: 4,
    heads: 4,
    hiddenSize: 64,
    vocabSize: 54,
    gelu: 'erf',
  });
  for (const { name, shape } of checkpoint.tensors.values()) {
    t.equal(checkpoint.readRows(name, 0, shape[0]!).length % shape[0]!, 0, name);
  }
  checkpoint.close();
  t.end();
});

t.test('the crystal', needsShared('models/crystal-788/model.pt'), (t) => {
  reading(sharedPath('models', 'crystal-788', 'model.pt'), ({ root, tensors }) => {
    const config = root.get('config');
    const own = config instanceof PickleDict ? Object.fromEntries(config.named()) : {};
    const beside = JSON.parse(readFileSync(sharedPath('models', 'crystal-788', 'config.json'), 'utf8'));
    t.match(beside, crystalSettings(own, tensors)!, 'the settings of its config.json');
    t.strictSame(tensors.get('attention.positions')!.shape, [788, 128]);
    t.equal(tensors.get('attention.frozen')!.dtype, 'BOOL');
    for (const entry of tensors.values()) {
      if (entry.dtype === 'F32') t.equal(entry.readRows(0, entry.shape[0]!).length > 0, true, entry.name);
    }
  });
  t.notOk(existsSync('marker'));
  t.end();
});
