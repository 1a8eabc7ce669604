/** Serial consoles: real shells on pseudo terminals, quiet lines and noisy ones. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { type Board, boardOf } from '../../deploy/boards/board.js';
import { deployBundle } from '../../deploy/deploy-bundle.js';
import { SerialLink } from '../../deploy/serial/serial-link.js';
import { quietContext } from '../codegen/evaluate/tiny-bundle.js';
import {
  buildOrReason,
  listening,
  nativeTarget,
  quickDeploy,
  scratchFolder,
  sessionWith,
} from './board-bundle.js';
import { expectRejection } from './expect-rejection.js';
import { losingBegins, noPty, type PtyBoard, startPtyBoard } from './pty-board.js';

t.setTimeout(900_000);

const shells = ['busybox sh -i', 'bash --norc --noprofile -i', 'dash -i'].filter((shell) => {
  try {
    execFileSync('which', [shell.split(' ')[0]]);
    return true;
  } catch {
    return false;
  }
});
const hasReceiver = (() => {
  try {
    execFileSync('which', ['rb']);
    return true;
  } catch {
    return false;
  }
})();
/** Fast on paper, so that no limit of a slow line is in the way. */
const baud = 4_000_000;
const open = ({ path }: PtyBoard, login?: string) =>
  SerialLink.open({ port: path, baud, ...(login === undefined ? {} : { login }) }, { timeoutMs: 20_000 });
const boardAt = ({ path, folder }: PtyBoard, change: Partial<Board> = {}): Board => ({
  ...boardOf({ name: 'console', serial: { port: path, baud }, folder: join(folder, 'home', 'em') }),
  ...change,
});

for (const shell of shells) {
  t.test(`commands and files through ${shell.split(' ')[0]}`, { skip: noPty }, async (t) => {
    const board = await startPtyBoard(t, shell);
    const link = await open(board);
    t.teardown(() => link.close());
    const run = (script: string) => link.run(script, { timeoutMs: 30_000 });
    t.match(await run('echo out; echo err >&2; exit 7'), { code: 7, stdout: 'out\n', stderr: 'err\n' });
    t.match(await run("printf '%s' 'a\\'; echo $((6 * 7))"), { code: 0, stdout: 'a\\42\n' });
    t.match(await run('kill -9 $$'), { code: null, signal: 'SIGKILL' });
    const long = `echo ${'x'.repeat(5000)} | wc -c`;
    t.match(await run(long), { stdout: '5001\n' }, 'longer than a line of a terminal');
    const chunks: Buffer[] = [];
    await link.run('for i in 1 2 3; do echo "line $i"; done', {
      timeoutMs: 30_000,
      onStdout: (chunk) => chunks.push(chunk),
    });
    t.equal(Buffer.concat(chunks).toString(), 'line 1\nline 2\nline 3\n');

    const bytes = randomBytes(100_000);
    writeFileSync(join(board.folder, 'local'), bytes);
    const far = join(board.folder, 'home', "it's here");
    writeFileSync(far, bytes.subarray(0, 1234));
    let sent = 0;
    const onBytes = (count: number) => {
      sent += count;
    };
    await link.append(join(board.folder, 'local'), far, 1234, { timeoutMs: 120_000, onBytes });
    t.equal(sent, bytes.length - 1234);
    t.ok(readFileSync(far).equals(bytes));
    const nowhere = link.append(join(board.folder, 'local'), '/proc/no/such', 0, {
      timeoutMs: 120_000,
      onBytes,
    });
    await expectRejection(t, 'EM4033', /no\/such/, nowhere);

    await expectRejection(t, 'EM4035', /after 1 s/, link.run('sleep 1000', { timeoutMs: 1000 }));
    t.match(await run('echo still here'), { stdout: 'still here\n' });
    await link.close();
    t.same(readdirSync(join(board.folder, 'tmp')), [], 'nothing is left on the board');
    t.equal(link.broken, true);
  });
}

t.test('a line that changes and loses bytes, with a kernel that talks', { skip: noPty }, async (t) => {
  const message = '[   12.345678] usb 1-1: new high-speed USB device number 2\r\n';
  const board = await startPtyBoard(t, shells[0]);
  const link = await open(board);
  t.teardown(() => link.close());
  board.noise = { drop: 2e-5, flip: 1e-4, message };
  const bytes = randomBytes(60_000);
  writeFileSync(join(board.folder, 'local'), bytes);
  const far = join(board.folder, 'home', 'far');
  await link.append(join(board.folder, 'local'), far, 0, { timeoutMs: 300_000, onBytes: () => {} });
  t.ok(readFileSync(far).equals(bytes), 'every byte is right');
  board.noise = { drop: 1e-4, flip: 2e-4, message };
  const lines = Array.from({ length: 200 }, (_, i) => `em1 record ${i}`).join('\n');
  writeFileSync(join(board.folder, 'home', 'lines'), `${lines}\n`);
  for (let i = 0; i < 5; i++) {
    const end = await link.run(`cat ${join(board.folder, 'home', 'lines')}; exit ${i}`, {
      timeoutMs: 60_000,
    });
    t.equal(end.stdout, `${lines}\n`);
    t.equal(end.code, i);
  }
  board.noise = { drop: 0, flip: 0 };
});

t.test('a board whose word that work has begun does not arrive', { skip: noPty }, async (t) => {
  const board = await startPtyBoard(t, shells[0]!);
  const link = await open(board);
  t.teardown(() => link.close());
  const bytes = randomBytes(9_000);
  writeFileSync(join(board.folder, 'local'), bytes);
  const far = join(board.folder, 'home', 'far');
  const uploads = losingBegins(2);
  board.noise = uploads.noise;
  await link.append(join(board.folder, 'local'), far, 0, { timeoutMs: 60_000, onBytes: () => {} });
  t.ok(readFileSync(far).equals(bytes), 'the board got something in place of the bytes it waited for');
  t.equal(uploads.lost(), 2);

  const runs = losingBegins(1);
  board.noise = runs.noise;
  t.match(await link.run('sleep 4; echo done', { timeoutMs: 30_000 }), { code: 0, stdout: 'done\n' });
  t.equal(runs.lost(), 1);

  const spoil = (text: string) => text.replace(/@\+(\d+)@\+/g, '&+$1@+');
  board.noise = { drop: 0, flip: 0, spoil };
  t.match(
    await link.run('echo half', { timeoutMs: 30_000 }),
    { stdout: 'half\n' },
    'one of two copies is enough',
  );
});

t.test('a line that is all noise, one that is silent, one that is pulled', { skip: noPty }, async (t) => {
  const noisy = await startPtyBoard(t, shells[0], { drop: 0.2, flip: 0.2 });
  const hopeless = SerialLink.open({ port: noisy.path, baud }, { timeoutMs: 5000 });
  await expectRejection(t, 'EM4021', /prompt|shows|nothing/, hopeless);

  const silent = await startPtyBoard(t, 'sleep 1000');
  const nothing = SerialLink.open({ port: silent.path, baud }, { timeoutMs: 4000 });
  await expectRejection(t, 'EM4021', /./, nothing);

  const worse = await startPtyBoard(t, shells[0]);
  const begun = await open(worse);
  worse.noise = { drop: 0.3, flip: 0.3 };
  await expectRejection(t, 'EM4022', /attempts|begin/, begun.run('echo lost', { timeoutMs: 30_000 }));
  await begun.close();

  const board = await startPtyBoard(t, shells[0]);
  const link = await open(board);
  const work = link.run('sleep 100', { timeoutMs: 60_000 });
  setTimeout(() => board.unplug(), 500);
  await expectRejection(t, 'EM4014', /./, work);
  t.equal(link.broken, true);
  await link.close();
  const absent = SerialLink.open({ port: join(board.folder, 'absent'), baud }, { timeoutMs: 1000 });
  await expectRejection(t, 'EM4020', /absent|No such/, absent);
});

t.test('logging in at a console that asks', { skip: noPty }, async (t) => {
  const script = (board: string, password: boolean) => {
    const path = join(board, 'getty.sh');
    const ask = password
      ? 'printf "Password: "; stty -echo; read -r p; stty echo; [ "$p" = open ] || { echo; echo "Login incorrect"; exec sleep 100; }'
      : ':';
    writeFileSync(
      path,
      `sleep 1; echo "[ 0.1] booting"; sleep 1\nprintf "board login: "; read -r u\n${ask}\necho "Welcome $u"\nexec ${shells[0]}\n`,
    );
    return path;
  };
  const scratch = scratchFolder('getty');
  const plain = await startPtyBoard(t, `sh ${script(scratch, false)}`);
  const link = await open(plain, 'root');
  t.match(await link.run('echo in', { timeoutMs: 20_000 }), { stdout: 'in\n' });
  await link.close();

  const asking = await startPtyBoard(t, `sh ${script(scratch, false)}`);
  await expectRejection(t, 'EM4021', /asks who logs in/, open(asking));

  process.env.EM_TEST_CONSOLE = 'open';
  const secret = await startPtyBoard(t, `sh ${script(scratch, true)}`);
  const settings = { port: secret.path, baud, login: 'root', passwordEnv: 'EM_TEST_CONSOLE' };
  const inside = await SerialLink.open(settings, { timeoutMs: 20_000 });
  t.match(await inside.run('echo in', { timeoutMs: 20_000 }), { stdout: 'in\n' });
  await inside.close();

  process.env.EM_TEST_CONSOLE = 'wrong';
  const locked = await startPtyBoard(t, `sh ${script(scratch, true)}`);
  const refused = SerialLink.open({ ...settings, port: locked.path }, { timeoutMs: 20_000 });
  await expectRejection(t, 'EM4021', /refused the login/, refused);
  delete process.env.EM_TEST_CONSOLE;
  const without = await startPtyBoard(t, `sh ${script(scratch, true)}`);
  const unset = SerialLink.open({ ...settings, port: without.path }, { timeoutMs: 20_000 });
  await expectRejection(t, 'EM4015', /EM_TEST_CONSOLE/, unset);
});

const native = noPty === false ? await buildOrReason(scratchFolder('console'), await nativeTarget()) : noPty;

t.test(
  'a bundle is deployed by console',
  { skip: typeof native === 'string' ? native : false },
  async (t) => {
    if (typeof native === 'string') return;
    const line = await startPtyBoard(t, shells[0]);
    const slow = {
      ...boardAt(line),
      transport: { kind: 'serial', serial: { port: line.path, baud: 1200 } },
    } as const;
    const deploy = (board: Board, session = sessionWith()) =>
      deployBundle(native.bundle, board, quickDeploy, session, quietContext());
    await expectRejection(t, 'EM4023', /minutes/, deploy(slow));
    const progress = listening();
    const first = await deploy(boardAt(line), sessionWith({ progress }));
    t.match(first, { output: { matchesGolden: true }, board: { transport: 'serial', name: 'console' } });
    t.ok(first.deployment.sentBytes > first.files.blobBytes);
    t.equal(progress.sent, first.deployment.sentBytes);
    line.noise = { drop: 0, flip: 5e-5, message: '[ 99.0] random: crng init done\r\n' };
    const again = await deploy(boardAt(line));
    t.match(again, { output: { matchesGolden: true }, deployment: { sentBytes: 0 } });
    line.noise = { drop: 0, flip: 0 };

    const receiver = { kind: 'serial', serial: { port: line.path, baud, upload: 'ymodem' } } as const;
    const elsewhere = boardAt(line, { folder: join(line.folder, 'home', 'other'), transport: receiver });
    if (hasReceiver) {
      const received = await deploy(elsewhere);
      t.match(received, {
        output: { matchesGolden: true },
        deployment: { sentBytes: first.deployment.sentBytes },
      });
    }

    const controller = new AbortController();
    const stopped = deploy(boardAt(line), sessionWith({ signal: controller.signal }));
    await delay(1500);
    controller.abort(new Error('stopped here'));
    await t.rejects(stopped, { message: 'stopped here' });
    t.throws(() => readlinkSync(join(line.folder, 'home', 'em', 'lock')), 'unlocked');
  },
);
