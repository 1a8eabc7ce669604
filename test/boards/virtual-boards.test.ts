/** Boards that boot: x86_64, arm64 and riscv64 by SSH, arm64 and riscv64 by serial console. Equal logits on all of them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import type { Board } from '../../deploy/boards/board.js';
import { type DeployResult, deployBundle } from '../../deploy/deploy-bundle.js';
import { BoardSession } from '../../deploy/session/board-session.js';
import { targets } from '../../targets/index.js';
import { quietContext } from '../codegen/evaluate/tiny-bundle.js';
import { buildOrReason, listening, quickDeploy, scratchFolder, sessionWith } from './board-bundle.js';
import { expectRejection } from './expect-rejection.js';
import { type BoardImage, boardImage, type Machine, machines, startQemuBoard } from './qemu-board.js';

t.setTimeout(1_200_000);

const scratch = scratchFolder('virtual');
const bundles = new Map<string, Built>();
/** Emulated kernels take their time, on a busy machine more. */
const bootMs = 240_000;

type Built = Awaited<ReturnType<typeof buildOrReason>>;

/**
 * The bundled model by SSH, a tiny one by serial line. The tiny one does not go to x86_64: QEMU 7.2 computes its swiglu wrong there
 * (verify --layers --emulator shows it), a processor does not.
 */
async function bundleFor({ arch }: Machine, model: 'tiny' | 'os-nano'): Promise<Built> {
  const name = `${arch}-${model}`;
  const known = bundles.get(name);
  if (known !== undefined) return known;
  const target = targets.find((one) => one.arch === arch);
  const built = await buildOrReason(join(scratch, name), target, model);
  bundles.set(name, built);
  return built;
}

const deploy = (bundle: string, board: Board, session = sessionWith({ acceptNew: true })) =>
  deployBundle(bundle, board, { ...quickDeploy, repeat: 1 }, session, quietContext());

/** What the results of all boards have in common is compared at the end. */
const results: DeployResult[] = [];

const [x86, arm, sifive, virt] = machines;

interface Prepared {
  readonly machine: Machine;
  readonly image: BoardImage | string;
  readonly built: Built;
}

async function prepare(machine: Machine, model: 'tiny' | 'os-nano'): Promise<Prepared> {
  const image = boardImage(machine);
  return { machine, image, built: typeof image === 'string' ? image : await bundleFor(machine, model) };
}

const ssh: Prepared[] = [];
for (const machine of [x86, arm, sifive]) ssh.push(await prepare(machine, 'os-nano'));
const serial: Prepared[] = [];
for (const machine of [arm, virt]) serial.push(await prepare(machine, 'tiny'));

const reason = ({ image, built }: Prepared) =>
  typeof image === 'string' ? image : typeof built === 'string' ? built : false;

for (const one of ssh) {
  const { machine, image, built } = one;
  t.test(`${machine.name} by SSH`, { skip: reason(one) }, async (t) => {
    if (typeof image === 'string' || typeof built === 'string') return;
    const board = await startQemuBoard(t, machine, image, 'ssh');
    await board.begin();
    await board.ready(bootMs);
    const result = await deploy(built.bundle, board.ssh);
    results.push(result);
    t.match(result, { output: { matchesGolden: true }, board: { transport: 'ssh', emulated: true } });
    t.equal(result.deployment.goldenEqual, result.deployment.goldenRuns);
    t.ok((result.memory.peakRssBytes ?? 0) > 0, 'the memory is that of the board');
    t.equal((await deploy(built.bundle, board.ssh)).deployment.sentBytes, 0);

    const installing = { ...quickDeploy, repeat: 1, install: '/root/llm' };
    const { deployment } = await deployBundle(
      built.bundle,
      board.ssh,
      installing,
      sessionWith(),
      quietContext(),
    );
    t.match(deployment.installation, { folder: '/root/llm', previous: null, startedBy: null });
    const look = await BoardSession.open(board.ssh, null, sessionWith());
    const boot = await look.link.run('readlink /root/llm/current; /root/llm/start', { timeoutMs: 600_000 });
    await look.close();
    t.match(boot, { code: 0, stdout: `releases/${deployment.installation?.current}\n` });
    t.match(boot.stdout, /answers its golden prompts/);

    const foreign = ssh.find((other) => other !== one)?.built;
    if (foreign !== undefined && typeof foreign !== 'string') {
      await expectRejection(t, 'EM4032', /the bundle is for/, deploy(foreign.bundle, board.ssh));
    }

    if (machine === arm) {
      // The date of a board without a clock jumps when the network tells it the time.
      const session = await BoardSession.open(board.ssh, null, sessionWith());
      const jump = session.command('date -s 2031-01-01 >/dev/null; date +%Y');
      t.match(await jump, { stdout: '2031\n' });
      await expectRejection(t, 'EM4030', /held by/, deploy(built.bundle, board.ssh));
      await session.command('date -s 1999-01-01 >/dev/null');
      await session.close();
      t.equal((await deploy(built.bundle, board.ssh)).output.matchesGolden, true);

      // A board that starts anew in the middle, and the lock of the time before.
      const progress = listening();
      const held = await BoardSession.open(board.ssh, null, sessionWith({ progress, acceptNew: true }));
      const work = held.link.run('sleep 1000', { timeoutMs: 300_000 });
      await delay(500);
      await board.reset();
      const cut = await expectRejection(t, 'EM4014', /./, Promise.race([work, cutOff(held)]));
      const settings =
        board.ssh.transport.kind === 'ssh' ? board.ssh.transport.ssh : { host: '', knownHosts: '' };
      writeFileSync(settings.knownHosts ?? '', ''); // the host key of an initramfs is new with every boot
      const why = cut === null ? null : await rebooted(held, cut);
      t.equal(why?.code, 'EM4036', why?.message ?? 'it was not cut');
      await held.close();
    }
  });
}

for (const one of serial) {
  const { machine, image, built } = one;
  t.test(`${machine.name} by serial console`, { skip: reason(one) }, async (t) => {
    if (typeof image === 'string' || typeof built === 'string') return;
    const board = await startQemuBoard(t, machine, image, 'serial');
    const line = { ...board.serial, limits: { ...board.serial.limits, connect: bootMs / 1000 } };
    const progress = listening();
    const work = deploy(built.bundle, line, sessionWith({ progress }));
    // The port is open by then: what the board says from its first moment on is heard.
    await delay(1500);
    await board.begin();
    const result = await work;
    results.push(result);
    t.match(result, { output: { matchesGolden: true }, board: { transport: 'serial', emulated: true } });
    t.equal(result.deployment.goldenEqual, result.deployment.goldenRuns);
    t.equal(
      (await deploy(built.bundle, line)).deployment.sentBytes,
      0,
      'once more, through the shell that is there',
    );
  });
}

t.test('all boards computed the same', async (t) => {
  t.comment(
    results
      .map(({ board }) => `${board.name} by ${board.transport}: ${board.kernel}, ${board.cpu}`)
      .join('\n'),
  );
  for (const name of new Set(results.map(({ model }) => model.name))) {
    const digests = new Set(
      results.filter(({ model }) => model.name === name).map(({ output }) => output.logitsDigest),
    );
    t.equal(digests.size, 1, `${name}: ${[...digests].join(', ')}`);
  }
  t.equal(results.length, [...ssh, ...serial].filter((one) => reason(one) === false).length);
});

/** TCP does not tell of a board that is suddenly another one; the keepalive does, after a minute. */
async function cutOff(session: BoardSession): Promise<never> {
  for (;;) {
    await delay(1000);
    if (!session.link.broken) continue;
    await session.command('true');
  }
}

/** Connects until the board is up again. */
async function rebooted(session: BoardSession, cut: Awaited<ReturnType<typeof expectRejection>>) {
  for (let tries = 0; tries < 10; tries++) {
    const found = cut === null ? null : await session.explainCut(cut);
    if (found?.code !== 'EM4014' && found?.code !== 'EM4012') return found;
    await delay(2000);
  }
  return cut;
}
