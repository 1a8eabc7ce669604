/** Our side of the talk with the script on the board: numbered requests with checksums, asked again until they are answered. */
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { agentScript } from './agent-script.js';
import type { SerialConsole } from './serial-console.js';
import { shortHash } from './short-hash.js';

/** Empties a line that was begun (VKILL). */
const killLine = '\x15';
const interrupt = '\x03';
const mostTries = 8;
const installTries = 5;
/** Within which a board says that work has begun. */
const BEGIN_MS = 3000;

const answerPattern = /@(\d+) ([^\n*]*) \*([0-9a-f]{16})\r?\n/g;

export interface LongAnswer {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Gets what comes between the beginning of the work and its answer. */
  readonly onOutput?: (chunk: Buffer) => void;
  /** Called when the work has begun. */
  readonly onBegin?: () => Promise<void>;
  /** Called where the board says nothing: work that has begun unheard waits for what onBegin would send. */
  readonly onSilence?: () => Promise<void>;
}

export class AgentClient {
  private sequence = Math.floor(Math.random() * 1e6) * 1000;

  constructor(
    private readonly console: SerialConsole,
    /** Milliseconds a byte takes on the line. */
    private readonly msPerByte: number,
  ) {}

  /** Brings the script to the board and starts it. Needs a shell that answers. Throws EM4022. */
  async install(signal?: AbortSignal): Promise<void> {
    const { console } = this;
    const path = `/tmp/em-agent-${this.sequence}.sh`;
    const body = Buffer.from(agentScript, 'latin1');
    const take = `while IFS= read -r l; do [ "$l" = em-end ] && break; printf '%s\\n' "$l"; done > ${path}`;
    const found = new RegExp(`em-sum:${shortHash(body)}`);
    for (let tries = 0; tries < installTries; tries++) {
      console.take();
      await console.send(
        `stty -echo; dmesg -n 1 2>/dev/null; sh -c '${take.replaceAll("'", `'"'"'`)}'; echo "em-""sum:$(sha256sum < ${path}):"\r`,
      );
      await console.until(() => null, 500, signal);
      await console.send(`${agentScript}em-end\n`);
      const limit = 4000 + 3 * body.length * this.msPerByte;
      const sum = await console.until((text) => /em-sum:[^\n]*:/.exec(text), limit, signal);
      if (sum !== null && found.test(sum[0])) {
        console.take();
        await console.send(`sh ${path}; rm -f ${path}; stty echo\r`);
        if ((await this.tryAsk('C', 4000, signal)) !== null) return;
      } else await console.send('\rem-end\r');
    }
    throw this.tooNoisy(`the script did not arrive in ${installTries} attempts`);
  }

  /** Asks for something that is done at once. Throws EM4022 where no answer comes. */
  async ask(words: string, signal?: AbortSignal): Promise<string> {
    const limit = 3000 + 3 * (words.length + 2500) * this.msPerByte;
    const answer = await this.tryAsk(words, limit, signal);
    if (answer === null) throw this.tooNoisy(`no answer to ${words.slice(0, 20)} in ${mostTries} attempts`);
    return answer;
  }

  /** Asks for something that takes its time; null when the time is over. Throws EM4022 where it does not even begin. */
  async askLong(words: string, how: LongAnswer): Promise<string | null> {
    const sequence = ++this.sequence;
    const answer = await this.beginLong(sequence, words, how);
    if (answer !== null) return answer;
    await how.onBegin?.();
    return this.awaitAnswer(sequence, words, how.timeoutMs, how.signal, how.onOutput);
  }

  /** Ends what runs on the board; the answer to it then comes. */
  async interrupt(): Promise<void> {
    await this.console.send(interrupt);
  }

  /** Ends the script; the shell that started it is there again. */
  async leave(): Promise<void> {
    await this.sendRequest(++this.sequence, 'X');
  }

  /** Asks until the work has begun; the answer where it is there already, else null. */
  private async beginLong(
    sequence: number,
    words: string,
    { signal, onBegin, onSilence }: LongAnswer,
  ): Promise<string | null> {
    const { console } = this;
    const begin = new RegExp(`@\\+${sequence}(?!\\d)[^\n]*\n`);
    const heard = (text: string) => {
      const begun = begin.exec(text);
      const answer = this.findAnswer(text, sequence);
      // What waits for more has not got it where it answers; of other work there may be output before the answer.
      const state = onBegin === undefined ? (begun ?? answer) : (answer ?? begun);
      return state ?? (/@\?/.test(text) ? 'again' : null);
    };
    for (let tries = 0; tries < mostTries; tries++) {
      console.take();
      await this.sendRequest(sequence, words);
      const state = await console.until(heard, BEGIN_MS, signal);
      if (state === 'again') continue;
      if (state === null) await onSilence?.();
      else if ('answer' in state) return state.answer;
      else {
        console.take(state.index + state[0].length);
        return null;
      }
    }
    throw this.tooNoisy('a command does not begin');
  }

  /** Asks again now and then, for the answer may have been lost; while the board works, the question waits there. */
  private async awaitAnswer(
    sequence: number,
    words: string,
    timeoutMs: number,
    signal?: AbortSignal,
    onOutput?: (chunk: Buffer) => void,
  ): Promise<string | null> {
    const { console } = this;
    const until = performance.now() + timeoutMs;
    let patience = 10_000;
    for (;;) {
      const left = until - performance.now();
      if (left <= 0) return null;
      const found = await console.until(
        (text) => {
          const answer = this.findAnswer(text, sequence);
          const whole = text.lastIndexOf('\n') + 1;
          const end = answer === null ? whole : answer.index;
          if (end > 0 && onOutput !== undefined) onOutput(Buffer.from(console.take(end), 'latin1'));
          if (answer !== null) console.take();
          return answer;
        },
        Math.min(left, patience),
        signal,
      );
      if (found !== null) return found.answer;
      if (console.quietMs < patience / 2) continue; // it is at work
      patience *= 2;
      await this.sendRequest(sequence, words);
    }
  }

  private async tryAsk(words: string, limitMs: number, signal?: AbortSignal): Promise<string | null> {
    const sequence = ++this.sequence;
    for (let tries = 0; tries < mostTries; tries++) {
      this.console.take();
      await this.sendRequest(sequence, words);
      const found = await this.console.until(
        (text) => this.findAnswer(text, sequence) ?? (/@\?/.test(text) ? 'again' : null),
        limitMs,
        signal,
      );
      if (found !== null && found !== 'again') return found.answer;
    }
    return null;
  }

  private sendRequest(sequence: number, words: string): Promise<void> {
    const sum = shortHash(`${sequence} ${words}`);
    return this.console.send(`${killLine}${sequence} ${sum} ${words}\n`);
  }

  private findAnswer(text: string, sequence: number): { answer: string; index: number } | null {
    for (const match of text.matchAll(answerPattern)) {
      const [, number, answer, sum] = match;
      if (Number(number) !== sequence) continue;
      if (shortHash(`${number} ${answer}`) === sum) return { answer, index: match.index };
    }
    return null;
  }

  private tooNoisy(why: string): EmbedError {
    return new EmbedError('EM4022', { where: this.console.path, why });
  }
}
