import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { crc32c } from '../../../codegen/layout/crc32c.js';
import { RecordParser } from '../../../deploy/records.js';
import {
  type Compiler,
  compile,
  compilers,
  hostCompiler,
  root,
  runnerFolder,
  runtimeFolder,
  sanitizerFlags,
  warningFlags,
} from '../c-compiler.js';

const driver = join(root, 'test', 'templates', 'runner', 'runner_driver.c');
const parts = ['blob_source', 'clock', 'failure', 'options', 'peak_memory', 'pool', 'records'];
const sources = [...parts.map((part) => join(runnerFolder, `${part}.c`)), join(runtimeFolder, 'em_crc32c.c')];
const includes = [`-I${runtimeFolder}`, `-I${runnerFolder}`];
const skip = !hostCompiler && 'no gcc or clang here';
const folder = mkdtempSync(join(tmpdir(), 'embed-model-runner-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

function buildDriver(compiler: Compiler, name: string, flags: readonly string[]): string {
  const program = join(folder, name);
  compile(compiler, [...warningFlags, ...flags, ...includes, driver, ...sources, '-pthread', '-o', program]);
  return program;
}

interface Result {
  readonly exit: number | null;
  readonly out: string;
}

/** Runs a program that may fail; its standard error belongs to sanitizers and must stay empty. */
function attempt(t: { fail(message: string): unknown }, command: readonly string[]): Result {
  const [program, ...args] = command;
  const result = spawnSync(program, args, { encoding: 'buffer', timeout: 120_000 });
  const complaints = result.stderr.toString();
  if (complaints !== '') t.fail(complaints);
  return { exit: result.status, out: result.stdout.toString() };
}

t.test('the runner compiles without a warning', async (t) => {
  // What the generator writes of a model, as far as the runner reads it.
  const model = [
    '#include "em.h"',
    '#define EM_MODEL_NAME "name"',
    '#define EM_TARGET_NAME "target"',
    '#define EM_VOCAB 4096',
    '#define EM_CONTEXT 512u',
    '#define EM_BATCH 64u',
    '#define EM_LOGITS_FRAC 16',
    '#define EM_BLOB_BYTES 4096u',
    '#define EM_HAS_TOKENIZER 1',
    '#define EM_BOS_ID (1)',
    'extern const em_u8 em_build_id[32];',
  ];
  writeFileSync(join(folder, 'model.h'), `${model.join('\n')}\n`);
  for (const compiler of compilers) {
    for (const name of readdirSync(runnerFolder).filter((file) => file.endsWith('.c'))) {
      const args = [
        ...includes,
        `-I${folder}`,
        '-O2',
        '-c',
        join(runnerFolder, name),
        '-o',
        join(folder, 'object.o'),
      ];
      t.doesNotThrow(() => compile(compiler, [...warningFlags, ...args]), `${compiler.name}: ${name}`);
    }
  }
});

t.test('parts of the runner, under AddressSanitizer and UBSan', { skip }, async (t) => {
  const program = buildDriver(hostCompiler!, 'driver', sanitizerFlags);

  t.test('options', async (t) => {
    const parse = (...args: string[]) => attempt(t, [program, 'options', ...args]);
    const fields = (...args: string[]) =>
      Object.fromEntries(
        parse(...args)
          .out.trim()
          .split('\n')
          .map((line) => line.split('=')),
      );
    t.match(fields('model.blob'), {
      blob: 'model.blob',
      prompt: '-',
      tokens: '64',
      threads: '1',
      chunk: '0',
      temperature: '0',
      top_k: '0',
      top_p: '65536',
      seed: '0',
      records: '0',
      digest: '0',
      no_verify: '0',
    });
    const sampling = [
      '--temperature',
      '0.8',
      '--top-k=40',
      '--top-p',
      '0.95',
      '--seed',
      '18446744073709551615',
    ];
    t.match(
      fields('--ids', '1,2', 'm', '--tokens=7', '--threads', '0', ...sampling, '--chunk', '3', '--no-verify'),
      {
        blob: 'm',
        ids: '1,2',
        tokens: '7',
        threads: '0',
        temperature: '52429',
        top_k: '40',
        top_p: '62259',
        seed: '18446744073709551615',
        chunk: '3',
        no_verify: '1',
      },
    );
    t.match(fields('m', '--records'), { records: '1', digest: '1' });
    t.match(fields('m', '--records', '--no-digest'), { records: '1', digest: '0' });
    t.match(
      fields('m', '--prompt', '--help'),
      { prompt: '--help', help: '0' },
      'a value may look like an option',
    );
    t.match(fields('--version'), { version: '1', blob: '-' });
    const evaluation = ['--ids-file', 'f', '--window', '16', '--first-window', '2', '--windows', '3'];
    t.match(fields('m', '--logits', '-', ...evaluation), {
      logits: '-',
      window: '16',
      first_window: '2',
      windows: '3',
    });

    const refused: [string[], RegExp][] = [
      [[], /no blob/],
      [['m', 'n'], /two blobs: 'm' and 'n'/],
      [['m', '--bogus'], /unknown option '--bogus'/],
      [['m', '--token', '3'], /unknown option '--token'/],
      [['m', '--tokens'], /--tokens needs a value/],
      [['m', '--tokens', '-3'], /--tokens takes an integer/],
      [['m', '--tokens', '3x'], /--tokens takes an integer/],
      [['m', '--tokens', ''], /--tokens takes an integer/],
      [['m', '--tokens', '4294967296'], /--tokens takes an integer/],
      [['m', '--tokens', '99999999999999999999999'], /--tokens takes an integer/],
      [['m', '--threads', '1025'], /--threads takes an integer from 0 to 1024/],
      [['m', '--chunk', '0'], /--chunk takes an integer from 1/],
      [['m', '--seed', '18446744073709551616'], /--seed takes an integer/],
      [['m', '--temperature', '1e3'], /--temperature takes a decimal/],
      [['m', '--temperature', '-1'], /--temperature takes a decimal/],
      [['m', '--top-p', '1.5'], /--top-p takes a decimal from 0 to 1/],
      [['m', '--top-p', '0'], /--top-p must be at least/],
      [['m', '--records=1'], /--records takes no value/],
      [['m', '--ids', '1', '--prompt', 'x'], /exclude each other/],
      [['m', '--digest', '--no-digest'], /exclude each other/],
      [['m', '--logits', '-'], /--logits needs --ids-file and --window/],
      [['m', '--window', '5'], /need --logits/],
      [['m', '--logits', '-', ...evaluation, '--records'], /--logits goes without/],
      [['m', '--logits', '-', ...evaluation, '--prompt', 'x'], /--logits goes without/],
    ];
    for (const [args, message] of refused) {
      const { exit, out } = parse(...args);
      t.equal(exit, 2, args.join(' '));
      t.match(out, message);
    }
  });

  t.test('decimals become the nearest Q16, half up, exactly', async (t) => {
    const exact = (text: string, high: bigint): string => {
      const match = /^([0-9]*)(?:\.([0-9]{0,14}))?$/.exec(text);
      if (match === null || !/[0-9]/.test(text)) return 'no';
      const decimals = match[2] ?? '';
      const unit = 10n ** BigInt(decimals.length);
      const scaled = BigInt(`0${match[1]}`) * unit + BigInt(`0${decimals}`);
      return scaled > high * unit ? 'no' : String((scaled * 65536n * 2n + unit) / (unit * 2n));
    };
    const listed =
      '0 1 0.5 .5 5. 1000 1000.0 1000.00000000000001 0.00000762939453 0.00000762939454 1.0000076293945312';
    const wrong = [
      '',
      '.',
      '-1',
      '+1',
      ' 1',
      '1 ',
      '1e3',
      '0x10',
      '1,5',
      '1..2',
      'nan',
      '99999999999999999999999999',
    ];
    const decimals = fc
      .tuple(fc.nat(1100), fc.stringMatching(/^[0-9]{0,15}$/))
      .map(([whole, rest]) => `${whole}.${rest}`);
    const texts = [...listed.split(' '), ...wrong, ...fc.sample(decimals, { numRuns: 500, seed: 16 })];
    const { out } = attempt(t, [program, 'q16', '1000', ...texts]);
    const expected = texts.map((text) => exact(text, 1000n));
    t.same(out.trimEnd().split('\n'), expected);
    t.ok(expected.filter((value) => value !== 'no').length > 400);
  });

  t.test('records are what the reader of records reads', async (t) => {
    const anyText = fc.string({ unit: 'binary', maxLength: 200 });
    const texts = ['', ' ', '%=*', '\n\r\0', '\u{10ffff}', '*'.repeat(1024), '\x7f'.repeat(1024)];
    texts.push(...fc.sample(anyText, { numRuns: 300, seed: 17 }));
    const encode = (text: string) => {
      const bytes = Buffer.from(text, 'utf8');
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return Buffer.concat([length, bytes]);
    };
    const path = join(folder, 'texts.bin');
    writeFileSync(path, Buffer.concat(texts.map(encode)));
    const { exit, out } = attempt(t, [program, 'records', path]);
    t.equal(exit, 0);
    const parser = new RecordParser();
    const events = [...parser.push(Buffer.from(out, 'latin1')), ...parser.end()];
    const ns = Number.MAX_SAFE_INTEGER;
    const tokens = texts.map((text, index) => ({ kind: 'token', index, id: 5, ns, text }));
    t.same(
      events.slice(0, -1).map((event) => (event.type === 'record' ? event.record : event)),
      [
        ...tokens,
        { kind: 'prompt', first: 0, ids: [0, 7, 2147483647] },
        { kind: 'digest', positions: 1, value: '0123456789abcdef' },
      ],
    );
    const sequence = texts.length + 2;
    const other = new RegExp(`^em1 ${sequence} other most=18446744073709551615 hex=009ff0ff \\*[0-9a-f]{8}$`);
    t.match(events.at(-1), { type: 'damaged', why: 'unknown kind other', text: other });
    t.ok(
      out.split('\n').every((line) => /^[ -~]*$/.test(line) && line.length < 4096),
      'printable ASCII, short lines',
    );
  });

  t.test('durations', async (t) => {
    const lists = fc.sample(fc.array(fc.nat(1e9), { maxLength: 60 }), { numRuns: 40, seed: 18 });
    for (const list of lists) {
      const sorted = [...list].sort((a, b) => a - b);
      const total = list.reduce((sum, value) => sum + value, 0);
      const rank = (percent: number) => sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? 0;
      const expected = [total, sorted[0] ?? 0, rank(50), rank(90), rank(99), rank(100)].join(' ');
      t.equal(attempt(t, [program, 'durations', ...list.map(String)]).out.trim(), expected);
    }
  });

  t.test('a blob is mapped, or copied where that is not possible', async (t) => {
    const bytes = Buffer.from(Uint8Array.from({ length: 300_001 }, (_, index) => (index * 7) & 0xff));
    const path = join(folder, 'bytes');
    writeFileSync(path, bytes);
    const crc = (part: Uint8Array) => crc32c(part).toString(16).padStart(8, '0');
    t.same(attempt(t, [program, 'blob', path, '400000']), { exit: 0, out: `300001 ${crc(bytes)} mapped\n` });
    const pipe = 'cat "$1" | "$2" blob /dev/stdin "$3"';
    const piped = (capacity: number) =>
      attempt(t, ['sh', '-c', pipe, 'sh', path, program, String(capacity)]).out;
    t.equal(piped(400_000), `300001 ${crc(bytes)} copied\n`);
    t.equal(piped(1000), `1000 ${crc(bytes.subarray(0, 1000))} copied\n`, 'no more than asked for');
    writeFileSync(path, '');
    t.same(attempt(t, [program, 'blob', path, '64']), { exit: 0, out: '0 00000000 copied\n' });
    t.match(attempt(t, [program, 'blob', join(folder, 'absent'), '64']), { exit: 2, out: /No such file/ });
    t.match(attempt(t, [program, 'blob', folder, '64']), { exit: 2, out: /directory/ });
  });

  t.test('peak memory', { skip: process.platform !== 'linux' && 'no /proc here' }, async (t) => {
    const peak = (bytes: number) => Number(attempt(t, [program, 'peak', String(bytes)]).out);
    t.ok(peak(40_000_000) - peak(1000) > 35_000_000);
  });
});

t.test('the pool runs every task exactly once, and on all its threads', { skip }, async (t) => {
  const tasks = Array.from({ length: 3000 }, (_, job) => (job * 13) % 41).reduce(
    (sum, count) => sum + count,
    0,
  );
  const builds: [string, readonly string[]][] = [
    ['optimized', ['-O2']],
    ['under AddressSanitizer and UBSan', sanitizerFlags],
    ['under ThreadSanitizer', ['-g', '-O1', '-fsanitize=thread']],
  ];
  for (const [name, flags] of builds) {
    const program = buildDriver(hostCompiler!, `pool ${name}`, flags);
    for (const threads of [1, 2, 3, 8]) {
      const expected = { exit: 0, out: `${tasks}\n` };
      t.same(attempt(t, [program, 'pool', String(threads), '3000']), expected, `${name}, ${threads} threads`);
      const together = attempt(t, [program, 'meet', String(threads), '20']);
      t.same(together, { exit: 0, out: 'met\n' }, `${name}, ${threads} threads at once`);
    }
  }
  for (const compiler of compilers.filter(({ emulator }) => emulator !== null && emulator.length > 0)) {
    const program = buildDriver(compiler, `pool-${compiler.command}`, ['-O2', '-static']);
    const result = attempt(t, [...compiler.emulator!, program, 'pool', '2', '3000']);
    t.same(result, { exit: 0, out: `${tasks}\n` }, compiler.name);
  }
});
