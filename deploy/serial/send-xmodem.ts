/** The sender of XMODEM and YMODEM. Whoever receives decides between checksum and CRC, and asks again for what arrived damaged. */
import { setTimeout as delay } from 'node:timers/promises';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { SerialConsole } from './serial-console.js';
import { type BlockBytes, type BlockCheck, xmodem, xmodemBlock, ymodemHeader } from './xmodem-block.js';

export type XmodemVariant = 'xmodem' | 'xmodem-1k' | 'ymodem';

export interface XmodemOptions {
  readonly variant: XmodemVariant;
  /** Of the file, for YMODEM: no folder. */
  readonly name: string;
  /** Milliseconds that all of it may take. */
  readonly timeoutMs: number;
  /** Milliseconds a byte takes on the line. */
  readonly msPerByte: number;
  readonly signal?: AbortSignal | undefined;
  readonly onBytes: (count: number) => void;
}

/** Times that one block is sent. */
const mostTries = 10;
/** Receivers say every few seconds that they wait (U-Boot 2, lrzsz 10). */
const beginMs = 30_000;
/** For an answer, beyond the time that the block itself takes. Receivers ask again after 1 to 10 s without a byte. */
const answerMs = 12_000;

/** Times that an end is sent, and milliseconds until lrzsz has seen that nothing follows it. */
const endTries = 4;
const endAnswerMs = 2500;
/** A receiver that found a block damaged hears nothing, not even that it is cancelled, before the line was quiet for a second. */
const deafMs = 1500;

const [ack, nak, can, wantsCrc] = [xmodem.ACK, xmodem.NAK, xmodem.CAN, xmodem.CRC].map((code) =>
  String.fromCharCode(code),
) as [string, string, string, string];

/**
 * Sends to a receiver that was started before; what it said until then must be taken away. Returns how many blocks had to be sent
 * again. Whether the file is the same there is the caller's to check.
 * Throws EM4014, EM4022 where a block does not arrive, EM4024 where nobody receives, EM4035, the signal's reason.
 */
export async function sendXmodem(
  console: SerialConsole,
  bytes: Uint8Array,
  options: XmodemOptions,
): Promise<number> {
  const sender = new Sender(console, options);
  try {
    return await sender.sendFile(bytes);
  } catch (error) {
    await cancelReception(console);
    throw error;
  }
}

/** A receiver that was started gives up; a shell sees a line that nobody ends. Throws nothing. */
export async function cancelReception(console: SerialConsole): Promise<void> {
  for (const waitMs of [0, deafMs]) {
    await delay(waitMs);
    if (!console.broken) await console.send(can.repeat(8)).catch(() => {});
  }
}

class Sender {
  private repeats = 0;
  private readonly until: number;

  constructor(
    private readonly console: SerialConsole,
    private readonly options: XmodemOptions,
  ) {
    this.until = performance.now() + options.timeoutMs;
  }

  async sendFile(bytes: Uint8Array): Promise<number> {
    const { variant, name, onBytes } = this.options;
    const isYmodem = variant === 'ymodem';
    const check = await this.begin(isYmodem);
    if (isYmodem) {
      await this.deliver(ymodemHeader({ name, bytes: bytes.length }), 'header', true);
      await this.awaitReady();
    }
    let number = 1;
    for (let at = 0; at < bytes.length; number++) {
      const left = bytes.length - at;
      // The rest of a file goes in small blocks where that is less: it needs no filling up to 1024.
      const size: BlockBytes = variant === 'xmodem' || left <= 896 ? 128 : 1024;
      const data = bytes.subarray(at, at + size);
      await this.deliver(xmodemBlock(number, data, size, check), `block ${number}`, number === 1);
      at += data.length;
      onBytes(data.length);
    }
    await this.conclude();
    if (isYmodem) {
      await this.awaitReady();
      await this.endBatch();
    }
    return this.repeats;
  }

  /** Waits until the receiver says that it is there, and which check it wants. */
  private async begin(isYmodem: boolean): Promise<BlockCheck> {
    const answer = await this.answer(isYmodem ? [wantsCrc] : [wantsCrc, nak], beginMs);
    if (answer === null) throw this.failed('no receiver answers');
    return answer === wantsCrc ? 'crc' : 'sum';
  }

  /** YMODEM's receiver asks for what follows; one that does not is sent it all the same. */
  private async awaitReady(): Promise<void> {
    await this.answer([wantsCrc], 3000);
  }

  /** Sends until it is acknowledged. What came before is no answer to it. A damaged first block is refused as it was asked for. */
  private async deliver(block: Buffer, what: string, isFirst: boolean): Promise<void> {
    const { console, options } = this;
    const answers = isFirst ? [ack, nak, wantsCrc] : [ack, nak];
    for (let tries = 0; tries < mostTries; tries++) {
      if (tries > 0) {
        this.repeats += 1;
        await this.settle();
      }
      console.take();
      await console.send(block);
      const limit = answerMs + block.length * options.msPerByte;
      if ((await this.answer(answers, limit)) !== ack) continue;
      if (tries > 0) await this.settle();
      return;
    }
    throw new EmbedError('EM4022', {
      where: console.path,
      why: `${what} of ${options.name} did not arrive whole in ${mostTries} attempts`,
    });
  }

  /**
   * Waits until the receiver has no more to say of what was sent. One that was kept waiting in the middle of a block refuses it twice;
   * a second copy for the second time, and the answer to that copy passes for the one to the next block: from then on the two are a
   * block apart, and the first damage ends the transfer.
   */
  private async settle(): Promise<void> {
    while ((await this.answer([ack, nak, wantsCrc], deafMs)) !== null);
  }

  /**
   * Sends the end of the file. All blocks were acknowledged, and a receiver that is done may be gone before its last word is on the
   * line (lrzsz empties its terminal): silence is no failure.
   */
  private async conclude(): Promise<void> {
    this.console.take(); // later it may hold what a shell says already
    for (let tries = 0; tries < endTries; tries++) {
      await this.console.send(Buffer.of(xmodem.EOT));
      if ((await this.answer([ack, nak], endAnswerMs)) === ack) return;
    }
  }

  /** Says that no file follows, again to a receiver that asks again; anything else that comes is of whoever started it. */
  private async endBatch(): Promise<void> {
    const { console, options } = this;
    console.take();
    for (let tries = 0; tries < endTries; tries++) {
      await console.send(ymodemHeader(null));
      const first = await console.until((text) => text[0] ?? null, answerMs, options.signal);
      if (first === ack || first === wantsCrc || first === nak) console.take(1);
      if (first !== wantsCrc && first !== nak) return;
    }
  }

  /** The first of these characters; null when the time is over. */
  private async answer(wanted: readonly string[], limitMs: number): Promise<string | null> {
    const { console, options } = this;
    const left = this.until - performance.now();
    if (left <= 0) {
      const why = `${options.name} was not there after ${Math.round(options.timeoutMs / 1000)} s`;
      throw new EmbedError('EM4035', { where: console.path, why });
    }
    const found = await console.until(
      (text) => {
        const at = [...text].findIndex((c, i) => wanted.includes(c) || (c === can && text[i + 1] === can));
        return at === -1 ? null : at;
      },
      Math.min(left, limitMs),
      options.signal,
    );
    if (found === null) return null;
    const character = console.take(found + 1).slice(-1);
    if (character === can) throw this.failed('the receiver cancelled');
    return character;
  }

  private failed(why: string): EmbedError {
    return new EmbedError('EM4024', { where: `${this.console.path}: ${this.options.name}`, why });
  }
}
