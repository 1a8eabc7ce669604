/** U-Boot behind a serial line: from whatever the board shows to its prompt, and commands for it. */
import { setTimeout as delay } from 'node:timers/promises';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { SerialSettings } from '../boards/board.js';
import { cleanTerminalText, openPort, SerialConsole } from '../serial/serial-console.js';

export const defaultBaud = 115_200;
/** Start bit, eight data bits, stop bit. */
const bitsPerByte = 10;
/** Silence after which what stands at the end is taken for a prompt, and after which a board is asked for it. */
const settledMs = 300;
const idleMs = 2500;
const knownPrompt = /(?:^|\n)[A-Za-z0-9_-]*(?:=>|# ?|> ?)[ ]?$/;
const autoboot = /stop autoboot/i;

export interface Waiting {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export class UBootConsole {
  private constructor(
    readonly console: SerialConsole,
    private readonly prompt: RegExp,
    readonly msPerByte: number,
    /** As U-Boot says it. */
    readonly version: string | null,
  ) {}

  /** Opens the port, and stops a board that is about to boot. Throws EM4014, EM4020, EM4021. */
  static async open(settings: SerialSettings, { timeoutMs, signal }: Waiting): Promise<UBootConsole> {
    const baud = settings.baud ?? defaultBaud;
    const { uboot } = settings;
    const prompt = uboot?.prompt === undefined ? knownPrompt : new RegExp(`(?:${uboot.prompt})$`);
    const console = new SerialConsole(settings.port, await openPort(settings.port, baud));
    try {
      await reachPrompt(console, prompt, { timeoutMs, signal });
      const probe = new UBootConsole(console, prompt, (1000 * bitsPerByte) / baud, null);
      const said = await probe.command('version', { timeoutMs: 5000, signal });
      const version = /^U-Boot [^\n]*/m.exec(said)?.[0] ?? null;
      if (version === null) {
        throw new EmbedError('EM4021', {
          where: settings.port,
          why: `what answers is not U-Boot (it shows: ${said.trim().slice(-80)})`,
          fix: 'restart the board while the command waits, or take uboot out of its entry in boards.json',
        });
      }
      return new UBootConsole(console, prompt, probe.msPerByte, version.trim());
    } catch (error) {
      await console.close();
      throw error;
    }
  }

  /** What a command says, without its echo. Throws EM4014, EM4035. */
  async command(words: string, { timeoutMs, signal }: Waiting): Promise<string> {
    await this.begin(words);
    const said = await this.untilPrompt({ timeoutMs, signal });
    if (said !== null) return said;
    throw new EmbedError('EM4035', { where: `${this.console.path}: ${words}`, why: 'no prompt came back' });
  }

  /** Sends a command; what it says is the caller's to read. */
  async begin(words: string): Promise<void> {
    this.console.take();
    await this.console.send(`${words}\r`);
    // The echo: it must not be taken for what the command says.
    await this.console.until((text) => (text.includes('\n') ? true : null), 2000);
    this.console.take(this.console.text.indexOf('\n') + 1);
  }

  /** Everything up to the next prompt; null when the time is over. */
  async untilPrompt({ timeoutMs, signal }: Waiting): Promise<string | null> {
    const { console } = this;
    const until = performance.now() + timeoutMs;
    while (performance.now() < until) {
      const found = await console.until(
        (text) => (this.prompt.test(cleanTerminalText(text).slice(-200)) ? true : null),
        until - performance.now(),
        signal,
      );
      if (found === null) return null;
      const length = console.text.length;
      await console.until((text) => (text.length > length ? true : null), settledMs, signal);
      if (console.text.length === length) return cleanTerminalText(console.take()).replace(/[^\n]*$/, '');
    }
    return null;
  }

  close(): Promise<void> {
    return this.console.close();
  }
}

async function reachPrompt(
  console: SerialConsole,
  prompt: RegExp,
  { timeoutMs, signal }: Waiting,
): Promise<void> {
  const until = performance.now() + timeoutMs;
  let lastAsked = performance.now();
  while (performance.now() < until) {
    signal?.throwIfAborted();
    if (console.broken) await console.send(''); // throws why
    await delay(50);
    const tail = cleanTerminalText(console.text).slice(-300);
    // Some builds wait 0 seconds after these words: no time to lose.
    if (autoboot.test(tail) && !prompt.test(tail)) {
      console.take();
      await console.send(' ');
    } else if (console.quietMs > settledMs && prompt.test(tail)) {
      return;
    } else if (console.quietMs > idleMs && performance.now() - lastAsked > idleMs) {
      lastAsked = performance.now();
      await console.send('\r');
    }
  }
  const shown = cleanTerminalText(console.text).trim().split('\n').at(-1)?.slice(-80) ?? '';
  throw new EmbedError('EM4021', {
    where: console.path,
    why: shown === '' ? 'nothing comes from it' : `no prompt of U-Boot (it shows: ${shown})`,
    fix: 'restart the board while the command waits; uboot.prompt in boards.json describes another prompt',
  });
}
