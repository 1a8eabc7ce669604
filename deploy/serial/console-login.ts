/** Comes from whatever a console shows to a shell that answers. */
import { setTimeout as delay } from 'node:timers/promises';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { SerialSettings } from '../boards/board.js';
import { cleanTerminalText, type SerialConsole } from './serial-console.js';

/** Silence after which what stands at the end is taken for a prompt. */
const settledMs = 400;
/** Silence after which an idle console is asked for its prompt. Boards that boot must not hear a byte before theirs is there. */
const idleMs = 2500;
const answerMs = 5000;

const loginPrompt = /(?:^|\n)[^\n]{0,80}login: *$/i;
const passwordPrompt = /(?:^|\n)[^\n]{0,80}password[^\n]{0,40}: *$/i;
const refusal = /login incorrect|authentication failure|permission denied/i;
const uBootPrompt = /(?:^|\n)(?:=>|U-Boot>|[A-Za-z0-9_-]+ ?=>) ?$/;
const shellPrompt = /[#$%>~] ?$/;

export interface LoginOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Throws EM4021 saying what the console shows instead of a shell, EM4015 for a password variable that is not set. */
export async function loginAtConsole(
  console: SerialConsole,
  settings: SerialSettings,
  { timeoutMs, signal }: LoginOptions,
): Promise<void> {
  const until = performance.now() + timeoutMs;
  const prompt = settings.prompt === undefined ? shellPrompt : new RegExp(`(?:${settings.prompt})$`);
  let lastAsked = performance.now();
  let named = 0;
  while (performance.now() < until) {
    signal?.throwIfAborted();
    if (console.broken) await console.send(''); // throws why
    await delay(50);
    if (console.quietMs < settledMs) continue;
    const tail = cleanTerminalText(console.text).slice(-500);
    if (refusal.test(tail)) throw noShell(console, settings.login ?? '', 'it refused the login');
    if (loginPrompt.test(tail)) {
      if (settings.login === undefined)
        throw noShell(console, tail, 'it asks who logs in: give --login USER');
      if (++named > 3) throw noShell(console, tail, `it asks again who logs in after '${settings.login}'`);
      await answer(console, settings.login);
    } else if (passwordPrompt.test(tail)) {
      await answer(console, passwordOf(settings));
    } else if (uBootPrompt.test(tail)) {
      throw noShell(console, tail, 'it is in U-Boot: boot the system first');
    } else if (prompt.test(tail) && (await answersAsShell(console, signal))) {
      return;
    } else if (console.quietMs > idleMs && performance.now() - lastAsked > idleMs) {
      lastAsked = performance.now();
      await console.send('\r');
    }
  }
  const tail = cleanTerminalText(console.text).trim().slice(-200);
  throw noShell(console, tail, tail === '' ? 'nothing comes from it' : 'no prompt that is known');
}

async function answer(console: SerialConsole, word: string): Promise<void> {
  console.take();
  await console.send(`${word}\r`);
  await delay(settledMs);
}

let questions = 0;

/** The word is written in two parts: the echo of the question is not its answer. */
async function answersAsShell(console: SerialConsole, signal?: AbortSignal): Promise<boolean> {
  const word = `${process.pid}x${++questions}`;
  console.take();
  await console.send(`echo "em-""shell-${word}"\r`);
  const found = await console.until(
    (text) => (text.includes(`em-shell-${word}`) ? true : null),
    answerMs,
    signal,
  );
  console.take();
  return found === true;
}

function passwordOf({ passwordEnv }: SerialSettings): string {
  const password = passwordEnv === undefined ? undefined : process.env[passwordEnv];
  if (password !== undefined) return password;
  const why =
    passwordEnv === undefined
      ? 'the console asks for a password'
      : `${passwordEnv} is not in the environment`;
  throw new EmbedError('EM4015', {
    where: 'serial console',
    why,
    fix: 'name a variable that holds it: passwordEnv',
  });
}

function noShell(console: SerialConsole, tail: string, why: string): EmbedError {
  const shown = tail.trim().split('\n').at(-1)?.slice(-80) ?? '';
  return new EmbedError('EM4021', {
    where: console.path,
    why: shown === '' ? why : `${why} (it shows: ${shown})`,
  });
}
