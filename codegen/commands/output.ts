/**
 * Where a command's words go: its result to stdout, as text or as one JSON document; all other talk to
 * stderr.
 */
import type { EmbedError } from '../diagnostics/error.js';
import type { ExitCode } from '../diagnostics/exit-codes.js';
import { printable } from '../diagnostics/printable.js';

/** The part of a stream that is needed here; `columns` is undefined where it is no terminal. */
export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface OutputMode {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

export class Output {
  constructor(
    private readonly stdout: TextSink,
    private readonly stderr: TextSink,
    readonly mode: OutputMode,
  ) {}

  /** Whether text streamed to stdout and lines on stderr meet on one screen. */
  get sharesTerminal(): boolean {
    return this.stdout.isTTY === true && this.stderr.isTTY === true;
  }

  /** Width of the terminal that results go to; undefined where there is none. */
  get columns(): number | undefined {
    return this.stdout.columns;
  }

  /** The result of a command: exactly one call a command. */
  result(document: unknown, text: () => string): void {
    this.stdout.write(this.mode.json ? `${JSON.stringify(document, null, 2)}\n` : `${text()}\n`);
  }

  /** Text of a model as it comes. Not with --json, where the document holds it. */
  stream(text: string): void {
    if (this.mode.json) return;
    // What a model says must not move a terminal's cursor; a file gets every character.
    this.stdout.write(this.stdout.isTTY === true ? printable(text) : text);
  }

  /** Ends streamed text with a line feed; with --json, writes the document that holds the text instead. */
  endStream(document: unknown): void {
    this.result(document, () => '');
  }

  /** Lines to the user that are no result. */
  say(lines: string): void {
    if (!this.mode.quiet) this.stderr.write(`${lines}\n`);
  }

  /**
   * What went wrong: on stderr always, and as the one document where one was asked for. Returns its exit
   * code.
   */
  failure(error: EmbedError): ExitCode {
    const { code, what, where, why, fix, exitCode } = error;
    this.stderr.write(`${error.format()}\n`);
    if (this.mode.verbose) this.stderr.write(`${traceOf(error)}\n`);
    if (this.mode.json) this.result({ error: { code, what, where, why, fix, exitCode } }, () => '');
    return exitCode;
  }
}

/** The stacks of an error and of what caused it. */
function traceOf(error: unknown): string {
  const stacks: string[] = [];
  for (let at = error; at instanceof Error && stacks.length < 8; at = at.cause)
    stacks.push(at.stack ?? String(at));
  return printable(stacks.join('\ncaused by '));
}
