import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openCheckpoint } from '../../../codegen/checkpoint/open.js';
import type { DiagnosticCode } from '../../../codegen/diagnostics/catalog.js';
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

t.test('the first bytes tell the format, the extension where they do not', (t) => {
  const folder = t.testdir();
  const cases: [string, Uint8Array, DiagnosticCode, RegExp][] = [
    ['model.gguf', Buffer.from('GGUF\x03\0\0\0'), 'EM1034', /the file ends at byte 8/],
    ['renamed.bin', Buffer.from('GGUF\x03\0\0\0'), 'EM1034', /the file ends at byte 8/],
    ['empty.gguf', Buffer.alloc(0), 'EM1034', /the file ends at byte 0/],
    ['model.pt', Buffer.from('PK\x03\x04'), 'EM1030', /no end record/],
    ['pytorch_model.bin', Buffer.from('PK\x03\x04'), 'EM1030', /no end record/],
    ['legacy.pth', Buffer.from([0x80, 2]), 'EM1032', /bare pickle of protocol 2/],
    ['legacy.bin', Buffer.from([0x80, 2, 0x8a, 10, 0x6c, 0xfc]), 'EM1032', /bare pickle of protocol 2/],
    [
      'model.safetensors',
      Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d]),
      'EM1002',
      /a single safetensors file/,
    ],
    ['model.crystal', Buffer.from('CRYS'), 'EM1060', /4 bytes/],
    ['ts.bin', Buffer.from('\x01\x05\0\0\0llama\x40'), 'EM1002', /a file of llama2.ts/],
    ['cut.bin', Buffer.from('24ka'), 'EM1018', /has 4 bytes/],
    ['notes.txt', Buffer.from('hello'), 'EM1002', /of no known format; Hugging Face folders, GGUF/],
    ['empty', Buffer.alloc(0), 'EM1002', /of no known format/],
  ];
  for (const [name, content, code, pattern] of cases) {
    writeFileSync(join(folder, name), content);
    expectError(t, code, pattern, () => openCheckpoint(join(folder, name)));
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
