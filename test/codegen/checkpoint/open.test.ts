import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import { expectError } from './expect-error.js';
import { writeTinyModel } from './tiny-model.js';

t.test('paths that lead nowhere', (t) => {
  const folder = t.testdir({ file: 'x' });
  for (const path of ['', join(folder, 'absent'), join(folder, 'file', 'below'), `${folder}/nul\0byte`]) {
    expectError(t, 'EM1001', /no such file or directory/, () => openCheckpoint(path));
  }
  symlinkSync('loop', join(folder, 'loop'));
  expectError(t, 'EM1001', /no such file/, () => openCheckpoint(join(folder, 'loop')));
  t.end();
});

t.test(
  'a named pipe is refused, not waited for',
  { skip: process.platform === 'win32' && 'no mkfifo' },
  (t) => {
    const folder = writeTinyModel(t.testdir());
    execFileSync('mkfifo', [join(folder, 'pipe.bin'), join(folder, 'generation_config.json')]);
    expectError(t, 'EM1001', /pipe.bin: not a regular file/, () => openCheckpoint(join(folder, 'pipe.bin')));
    expectError(t, 'EM1001', /generation_config.json: not a regular file/, () => openCheckpoint(folder));
    t.end();
  },
);

t.test('a folder where a file is expected', (t) => {
  const folder = t.testdir();
  mkdirSync(join(folder, 'config.json'));
  expectError(t, 'EM1001', /config.json: not a regular file/, () => openCheckpoint(folder));
  t.end();
});

t.test('formats that are known but not read are named, with what is read', (t) => {
  const folder = t.testdir();
  const version = (number: number) => Buffer.from([...Buffer.from('24ka'), number, 0, 0, 0]);
  const cases: [string, Uint8Array, RegExp][] = [
    [
      'model.gguf',
      Buffer.from('GGUF\x03\0\0\0'),
      /a GGUF file; this version reads Hugging Face directories and llama2/,
    ],
    ['renamed.bin', Buffer.from('GGUF\x03\0\0\0'), /a GGUF file/],
    ['empty.gguf', Buffer.alloc(0), /a GGUF file/],
    ['model.pt', Buffer.from('PK\x03\x04'), /a PyTorch file/],
    ['pytorch_model.bin', Buffer.from('PK\x03\x04'), /a PyTorch file/],
    ['legacy.pth', Buffer.from([0x80, 2]), /a PyTorch file/],
    ['model.safetensors', Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d]), /a single safetensors file/],
    ['model.crystal', Buffer.from('CRYS'), /a .crystal file/],
    ['v1.bin', version(1), /a llama2.c file of version 1/],
    ['v2.bin', version(2), /a llama2.c file of version 2/],
    ['cut.bin', Buffer.from('24ka'), /a llama2.c file of version \?/],
    ['notes.txt', Buffer.from('hello'), /of no known format/],
    ['empty', Buffer.alloc(0), /of no known format/],
  ];
  for (const [name, content, pattern] of cases) {
    writeFileSync(join(folder, name), content);
    expectError(t, 'EM1002', pattern, () => openCheckpoint(join(folder, name)));
  }
  t.end();
});

t.test('shards behind symbolic links, as the cache of Hugging Face has them', (t) => {
  const folder = t.testdir();
  const blobs = writeTinyModel(join(folder, 'blobs'));
  mkdirSync(join(folder, 'snapshot'));
  for (const name of ['config.json', 'model.safetensors']) {
    symlinkSync(join(blobs, name), join(folder, 'snapshot', name));
  }
  const checkpoint = openCheckpoint(join(folder, 'snapshot'));
  t.equal(checkpoint.readRows('model.norm.weight', 0, 16).length, 16);
  checkpoint.close();
  t.doesNotThrow(() => checkpoint.close(), 'closing twice is harmless');
  t.end();
});

t.test(
  'nothing stays open when a checkpoint is refused',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  (t) => {
    const folder = writeTinyModel(t.testdir(), { tensors: { 'model.norm.weight': undefined } });
    const handles = () =>
      execFileSync('ls', [`/proc/${process.pid}/fd`], { encoding: 'utf8' }).split('\n').length;
    const before = handles();
    for (let i = 0; i < 20; i++) expectError(t, 'EM1015', /model.norm.weight/, () => openCheckpoint(folder));
    t.ok(handles() < before + 10, 'no handle is left behind');
    t.end();
  },
);
