/** deploy to a board that has U-Boot and nothing else: the image over the serial line, its golden runs, their records. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { uImageHeaderBytes } from '../../codegen/bare-metal/u-image.js';
import type { Manifest } from '../../codegen/bundle/manifest.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { crc32 } from '../../codegen/layout/crc32.js';
import type { StageContext } from '../../codegen/progress.js';
import { runnerAllowanceBytes } from '../bench-bundle.js';
import type { Board, SerialSettings } from '../boards/board.js';
import type { DeployOptions, DeployResult } from '../deploy-bundle.js';
import { composeResult, rateOf, speedOf } from '../result.js';
import { equalsGolden } from '../run-bundle.js';
import type { RunOutcome } from '../run-outcome.js';
import { sendXmodem } from '../serial/send-xmodem.js';
import { slowUploadMs } from '../session/board-machine.js';
import type { SessionOptions } from '../session/board-session.js';
import { ImageRuns } from './image-runs.js';
import { UBootConsole } from './u-boot-console.js';

/** Of what the line could carry; the rest is waiting for answers. */
const usableShare = 0.8;

interface Image {
  readonly bytes: Buffer;
  /** Where the file goes: its header lies before the address that the program was linked for. */
  readonly address: number;
}

/**
 * The port is opened by one program at a time, which is the lock. Throws EM1401, EM4014, EM4020 to EM4025, EM4034, EM4035, EM4039. Logits
 * that differ are no error but in the result.
 */
export async function deployByUBoot(
  bundle: string,
  manifest: Manifest,
  board: Board,
  serial: SerialSettings,
  options: Pick<DeployOptions, 'repeat' | 'install'>,
  session: SessionOptions,
  { progress, signal }: StageContext,
): Promise<DeployResult> {
  if (options.install !== null) {
    const why = 'it has U-Boot and no system that would start the bundle at boot';
    throw new EmbedError('EM4039', { where: board.name, why, fix: 'leave --install out' });
  }
  const image = imageOf(bundle, manifest);
  const uBoot = await UBootConsole.open(serial, { timeoutMs: board.limits.connect * 1000, signal });
  try {
    const sentBytes = await provideImage(uBoot, image, board, serial, session);
    progress.begin('golden', 1 + options.repeat, 'run');
    const repeats: (readonly RunOutcome[])[] = [];
    for (let i = 0; i <= options.repeat; i++) {
      repeats.push(await runImage(uBoot, image, board, serial, signal));
      progress.advance(1);
    }
    const golden = manifest.golden.filter(({ tokenIds }) => tokenIds.length > 0);
    const isEqual = (index: number) =>
      repeats.every((runs) => runs[index] && equalsGolden(runs[index], golden[index]!));
    const goldenEqual = golden.filter((_, index) => isEqual(index)).length;
    const equal = goldenEqual === golden.length && repeats.every((runs) => runs.every(isOf(manifest)));
    progress.end(equal ? 'logits equal the reference' : 'LOGITS DIFFER from the reference');
    const deployment = { sentBytes, goldenRuns: golden.length, goldenEqual };
    return { ...resultOf(manifest, board, uBoot, repeats.slice(1), image.bytes.length, equal), deployment };
  } finally {
    await uBoot.close();
  }
}

const isOf = (manifest: Manifest) => (run: RunOutcome) => run.ready?.build === manifest.build.id;

/** Throws EM4025 where the bundle has no image for U-Boot. */
function imageOf(bundle: string, { bareMetal }: Manifest): Image {
  if (
    bareMetal === undefined ||
    !bareMetal.image.endsWith('.img') ||
    bareMetal.board.indexOf('uboot') === -1
  ) {
    const why = bareMetal === undefined ? 'it has no bare-metal/' : `its image is for ${bareMetal.board}`;
    throw new EmbedError('EM4025', { where: bundle, why });
  }
  const bytes = readFileSync(join(bundle, bareMetal.image));
  return { bytes, address: bareMetal.loadAddress - uImageHeaderBytes };
}

const hex = (value: number) => `0x${value.toString(16)}`;

/** Loads the image unless it lies there. Returns the bytes that went over the line. Throws EM4023, EM4034. */
async function provideImage(
  uBoot: UBootConsole,
  { bytes, address }: Image,
  board: Board,
  { uboot }: SerialSettings,
  { progress, allowSlow, signal }: SessionOptions,
): Promise<number> {
  const where = `${uBoot.console.path}: ${hex(address)}`;
  const isThere = async () => {
    const limit = board.limits.command * 1000 + bytes.length / 1000;
    const said = await uBoot.command(`crc32 ${hex(address)} ${hex(bytes.length)}`, {
      timeoutMs: limit,
      signal,
    });
    const sum = /==> ([0-9a-f]{8})/.exec(said)?.[1];
    return sum === crc32(bytes).toString(16).padStart(8, '0');
  };
  if (await isThere()) return 0;
  const ms = (bytes.length * uBoot.msPerByte) / usableShare;
  const estimate = `${bytes.length} bytes have to go there: about ${(ms / 60_000).toFixed(1)} minutes`;
  if (ms > slowUploadMs && !allowSlow) throw new EmbedError('EM4023', { where, why: estimate });
  if (ms > slowUploadMs) progress.warn(estimate);
  const loader = uboot?.loader ?? 'loady';
  progress.begin('upload', bytes.length, 'byte');
  await uBoot.begin(`${loader} ${hex(address)}`);
  await uBoot.console.until((text) => (/Ready for binary[^\n]*\n/.test(text) ? true : null), 5000, signal);
  uBoot.console.take();
  const repeats = await sendXmodem(uBoot.console, bytes, {
    variant: loader === 'loady' ? 'ymodem' : 'xmodem-1k',
    ...{ name: 'em-bare.img', timeoutMs: board.limits.upload * 1000, msPerByte: uBoot.msPerByte, signal },
    onBytes: (count) => progress.advance(count),
  });
  await uBoot.untilPrompt({ timeoutMs: 10_000, signal });
  progress.end(`${bytes.length} bytes, ${repeats} blocks again`);
  if (await isThere()) return bytes.length;
  throw new EmbedError('EM4034', { where, why: 'its CRC-32 in memory is another than that of the image' });
}

/** Throws EM4035, EM4038. */
async function runImage(
  uBoot: UBootConsole,
  { address }: Image,
  board: Board,
  { uboot }: SerialSettings,
  signal: AbortSignal,
): Promise<readonly RunOutcome[]> {
  const start = uboot?.start ?? 'go';
  const words =
    start === 'go' ? `go ${hex(address + uImageHeaderBytes)}` : `setenv autostart yes; bootm ${hex(address)}`;
  await uBoot.begin(words);
  const runs = await ImageRuns.read(uBoot.console, { timeoutMs: board.limits.run * 1000, signal });
  const where = `${uBoot.console.path}: ${words}`;
  if (runs.failure !== null) throw new EmbedError('EM4038', { where, why: runs.failure });
  await uBoot.untilPrompt({ timeoutMs: board.limits.command * 1000, signal });
  return runs.outcomes;
}

/** Speed and text are those of the first golden run, over all repeats. */
function resultOf(
  manifest: Manifest,
  board: Board,
  { version }: UBootConsole,
  repeats: readonly (readonly RunOutcome[])[],
  binaryBytes: number,
  matchesGolden: boolean,
) {
  const firsts = repeats.flatMap(([first]) => (first === undefined ? [] : [first]));
  const [outcome, ...rest] = firsts;
  const { name, emulated } = board;
  const machine = { name, transport: 'serial', emulated, cpu: null, kernel: version } as const;
  const prompt = manifest.golden[0]?.prompt ?? null;
  const facts = outcome === undefined ? null : { outcome, prompt, machine, matchesGolden, binaryBytes };
  const result = composeResult(manifest, facts, []);
  const { blobBytes, arenaBytes } = manifest.memory;
  return {
    ...result,
    speed: outcome === undefined ? result.speed : speedOf([outcome, ...rest]),
    bench: {
      repeats: repeats.length,
      tokenMs: firsts.map(({ tokens }) => tokens.slice(1).map(({ ns }) => ns / 1e6)),
      promptTokensPerSecond: rateOf([]),
      peakRssLimitBytes: blobBytes + arenaBytes + runnerAllowanceBytes,
      peakRssWithinLimit: null,
    },
  };
}
