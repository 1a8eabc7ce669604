/** Our sender against lrzsz, the receiver that boards have, over pseudo terminals that lose and change bytes. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import t, { type Test } from 'tap';
import { sendXmodem, type XmodemVariant } from '../../deploy/serial/send-xmodem.js';
import { openPort, SerialConsole } from '../../deploy/serial/serial-console.js';
import { expectRejection } from './expect-rejection.js';
import { type Noise, noPty, type PtyBoard, startPtyBoard } from './pty-board.js';

t.setTimeout(900_000);

const inPath = (name: string) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)));
const skip = noPty || (!inPath('rx') && 'lrzsz is not installed');
/** As receivers set it: in a block any byte may be an interrupt. */
const rawTerminal = 'stty raw -echo';
const quiet: Noise = { drop: 0, flip: 0 };

/** A board whose terminal runs a receiver, in its home. */
async function receiving(t: Test, command: string): Promise<{ board: PtyBoard; console: SerialConsole }> {
  const folder = t.testdir();
  const script = join(folder, 'receive');
  // The shell stays until it is told: what is left in the line must not hang up the terminal.
  writeFileSync(
    script,
    `#!/bin/sh\ncd "$HOME" && read -r begin && ${command} 2> log; echo "end:$?:"; sleep 600\n`,
  );
  chmodSync(script, 0o755);
  const board = await startPtyBoard(t, script, quiet);
  const console = new SerialConsole(board.path, await openPort(board.path, 4_000_000));
  t.teardown(() => console.close());
  await console.send('\n');
  await console.until((text) => (/\n/.test(text) ? true : null), 2000);
  console.take();
  return { board, console };
}

const receivers: Readonly<Record<XmodemVariant, string>> = {
  xmodem: 'rx -b file',
  'xmodem-1k': 'rx -b -c file',
  ymodem: 'rb -b',
};

const options = (variant: XmodemVariant) => ({
  ...{ variant, name: 'file', timeoutMs: 300_000, msPerByte: 0.0025 },
  onBytes: () => {},
});

/** XMODEM knows no size: what fills the last block stays. */
const withoutFilling = (received: Buffer, sent: Buffer, variant: XmodemVariant) =>
  variant === 'ymodem' ? received : received.subarray(0, sent.length);

for (const variant of ['xmodem', 'xmodem-1k', 'ymodem'] as const) {
  for (const [what, noise, bytes] of [
    ['a quiet line', quiet, 100_003],
    ['a line that changes bytes', { drop: 0, flip: 3e-4 }, 20_011],
    ['a line that loses and changes bytes', { drop: 3e-5, flip: 1e-4 }, 20_011],
  ] as const) {
    t.test(`${variant} over ${what}`, { skip }, async (t) => {
      const { board, console } = await receiving(t, receivers[variant]);
      board.noise = noise;
      const sent = randomBytes(bytes);
      let counted = 0;
      const onBytes = (count: number) => {
        counted += count;
      };
      const repeats = await sendXmodem(console, sent, { ...options(variant), onBytes });
      t.equal(counted, bytes);
      await console.until((text) => /end:(\d+):/.exec(text), 20_000);
      const received = readFileSync(join(board.folder, 'home', 'file'));
      t.ok(withoutFilling(received, sent, variant).equals(sent), 'the file is what was sent');
      t.ok(received.length - sent.length < 1024);
      // On a quiet line too a machine that stalls makes the receiver ask again.
      if (noise !== quiet) t.ok(repeats > 0, `${repeats} blocks again`);
    });
  }
}

t.test('an empty file', { skip }, async (t) => {
  const { board, console } = await receiving(t, receivers.ymodem);
  await sendXmodem(console, Buffer.alloc(0), options('ymodem'));
  await console.until((text) => /end:(\d+):/.exec(text), 20_000);
  t.equal(readFileSync(join(board.folder, 'home', 'file')).length, 0);
});

t.test('a line that lets nothing through whole', { skip }, async (t) => {
  const { board, console } = await receiving(t, receivers['xmodem-1k']);
  setTimeout(() => {
    board.noise = { drop: 0, flip: 0.05 };
  }, 0);
  const sending = sendXmodem(console, randomBytes(9000), { ...options('xmodem-1k'), timeoutMs: 20_000 });
  await t.rejects(sending, { code: /^EM40(22|24|35)$/ });
});

t.test('nobody receives', { skip: noPty }, async (t) => {
  const { console } = await receiving(t, `${rawTerminal}; sleep 30`);
  const sending = sendXmodem(console, randomBytes(100), { ...options('ymodem'), timeoutMs: 3000 });
  await expectRejection(t, 'EM4024', /no receiver/, sending);
});

t.test('the receiver gives up', { skip: noPty }, async (t) => {
  const { console } = await receiving(
    t,
    `${rawTerminal}; printf 'C'; sleep 1; printf '\\030\\030\\030\\030'; sleep 30`,
  );
  await expectRejection(t, 'EM4024', /cancelled/, sendXmodem(console, randomBytes(100), options('xmodem')));
});

t.test('somebody interrupts it', { skip }, async (t) => {
  const { console } = await receiving(t, receivers.ymodem);
  const control = new AbortController();
  const sending = sendXmodem(console, randomBytes(3_000_000), {
    ...options('ymodem'),
    signal: control.signal,
    onBytes: () => control.abort(new Error('stop')),
  });
  await t.rejects(sending, { message: 'stop' });
  const ended = await console.until((text) => /end:(\d+):/.exec(text), 20_000);
  t.ok(ended, 'the receiver is told and ends');
});
