/** The one error type of the tool: numbered, and saying what, where, why and what to do. */
import { type Diagnostic, type DiagnosticCode, diagnostics } from './catalog.js';
import { printable } from './printable.js';

export interface ErrorDetails {
  /** The file, tensor, option or board the error is about. */
  readonly where: string;
  /** What was found there, with the values that make it wrong. */
  readonly why: string;
  /** Replaces the catalogue's advice where the place of the error allows a better one. */
  readonly fix?: string;
  readonly cause?: unknown;
}

export class EmbedError extends Error {
  override readonly name = 'EmbedError';
  readonly code: DiagnosticCode;
  readonly what: string;
  readonly where: string;
  readonly why: string;
  readonly fix: string;
  readonly exitCode: Diagnostic['exit'];

  constructor(code: DiagnosticCode, details: ErrorDetails) {
    const entry = diagnostics[code];
    // Messages quote untrusted files.
    const where = printable(details.where);
    const why = printable(details.why);
    super(`${code}: ${entry.what} (${where}): ${why}`, { cause: details.cause });
    this.code = code;
    this.what = entry.what;
    this.where = where;
    this.why = why;
    this.fix = details.fix ?? entry.fix;
    this.exitCode = entry.exit;
  }

  /** The four lines a person reads on stderr. */
  format(): string {
    return [
      `error ${this.code}: ${this.what}`,
      `  where: ${this.where}`,
      `  why:   ${this.why}`,
      `  fix:   ${this.fix}`,
    ].join('\n');
  }
}
