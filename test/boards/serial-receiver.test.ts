/** Uploads through the receivers that boards have, rb and rx of lrzsz, started by a real shell on a pseudo terminal. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import t, { type Test } from 'tap';
import { SerialLink } from '../../deploy/serial/serial-link.js';
import { scratchFolder } from './board-bundle.js';
import { expectRejection } from './expect-rejection.js';
import { losingBegins, noPty, type PtyBoard, startPtyBoard } from './pty-board.js';

t.setTimeout(900_000);

const inPath = (name: string) =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
const without = (name: string) => noPty || (inPath(name) === undefined && 'lrzsz is not installed');

const shell = 'bash --norc --noprofile -i';
/** Of a board: what the script needs there, and no receiver. */
const programs =
  'sh bash stty dmesg sha256sum base64 head tail tr cat rm mkdir wc mv tee grep sleep env'.split(' ');
const scratch = scratchFolder('receivers');

/** A shell that finds these programs only. */
function shellWith(...more: string[]): string {
  const folder = join(scratch, more.join('-') || 'none');
  mkdirSync(folder);
  for (const name of [...programs, ...more]) {
    const path = inPath(name);
    if (path !== undefined) symlinkSync(path, join(folder, name));
  }
  return `${inPath('env')} PATH=${folder} ${shell}`;
}

const open = ({ path }: PtyBoard) =>
  SerialLink.open({ port: path, baud: 4_000_000, upload: 'ymodem' }, { timeoutMs: 60_000 });

/** A board with all receivers, and random bytes in a file here, for a file there. */
async function fileToSend(t: Test, size: number) {
  const board = await startPtyBoard(t, shell);
  const link = await open(board);
  t.teardown(() => link.close());
  const bytes = randomBytes(size);
  const [local, far] = [join(board.folder, 'local'), join(board.folder, 'home', 'far')];
  writeFileSync(local, bytes);
  return { board, link, bytes, local, far };
}

for (const receiver of ['rb', 'rx']) {
  t.test(`a file through ${receiver}`, { skip: without(receiver) }, async (t) => {
    const board = await startPtyBoard(t, shellWith(receiver));
    const link = await open(board);
    t.teardown(() => link.close());
    const bytes = randomBytes(140_001);
    const [local, far] = [join(board.folder, 'local'), join(board.folder, 'home', "it's here")];
    writeFileSync(local, bytes);
    writeFileSync(far, bytes.subarray(0, 1234));
    let sent = 0;
    const onBytes = (count: number) => {
      sent += count;
    };
    await link.append(local, far, 1234, { timeoutMs: 300_000, onBytes });
    t.equal(sent, bytes.length - 1234);
    t.ok(readFileSync(far).equals(bytes));
    const nowhere = link.append(local, '/proc/no/such', 139_000, { timeoutMs: 300_000, onBytes });
    await expectRejection(t, 'EM4033', /no\/such/, nowhere);
    t.match(await link.run('echo still here', { timeoutMs: 30_000 }), { stdout: 'still here\n' });
  });
}

t.test('a receiver whose beginning is not heard of is cancelled', { skip: without('rb') }, async (t) => {
  const { board, link, bytes, local, far } = await fileToSend(t, 20_000);
  const { noise, lost } = losingBegins(1);
  board.noise = noise;
  await link.append(local, far, 0, { timeoutMs: 120_000, onBytes: () => {} });
  t.ok(readFileSync(far).equals(bytes));
  t.equal(lost(), 1);
});

t.test('an upload that is stopped goes on where it was', { skip: without('rb') }, async (t) => {
  const { board, link, bytes, local, far } = await fileToSend(t, 200_000);
  const control = new AbortController();
  const onBytes = () => setTimeout(() => control.abort(new Error('stop')), 500);
  const stopped = link.append(local, far, 0, { timeoutMs: 300_000, signal: control.signal, onBytes });
  await t.rejects(stopped, { message: 'stop' });
  const there = statSync(far).size;
  t.ok(there > 0 && there < bytes.length, `${there} bytes stay`);
  t.match(await link.run('echo still here', { timeoutMs: 30_000 }), { stdout: 'still here\n' });
  board.noise = { drop: 0, flip: 3e-5 };
  await link.append(local, far, there, { timeoutMs: 300_000, onBytes: () => {} });
  t.ok(readFileSync(far).equals(bytes), 'also over a line that changes bytes');
  board.noise = { drop: 0, flip: 0 };
});

t.test('the line is cut in the middle', { skip: without('rb') }, async (t) => {
  const board = await startPtyBoard(t, shell);
  const link = await open(board);
  t.teardown(() => link.close());
  const local = join(board.folder, 'local');
  writeFileSync(local, randomBytes(1_000_000));
  const cut = link.append(local, join(board.folder, 'home', 'far'), 0, {
    timeoutMs: 300_000,
    onBytes: () => board.unplug(),
  });
  await expectRejection(t, 'EM4014', /./, cut);
});

t.test('the time is over', { skip: without('rb') }, async (t) => {
  const board = await startPtyBoard(t, shell);
  const link = await open(board);
  t.teardown(() => link.close());
  const local = join(board.folder, 'local');
  writeFileSync(local, randomBytes(20_000_000));
  const late = link.append(local, join(board.folder, 'home', 'far'), 0, {
    timeoutMs: 6000,
    onBytes: () => {},
  });
  // The limit may be over before the receiver is heard.
  await t.rejects(late, { code: /^EM40(24|35)$/ });
  t.match(await link.run('echo still here', { timeoutMs: 30_000 }), { stdout: 'still here\n' });
});

t.test('a board without a receiver', { skip: noPty }, async (t) => {
  const board = await startPtyBoard(t, shellWith());
  await expectRejection(t, 'EM4031', /neither rb nor rx/, open(board));
});
