import type { Test } from 'tap';
import type { DiagnosticCode } from '../../../codegen/diagnostics/catalog.js';
import { EmbedError } from '../../../codegen/diagnostics/error.js';

/** Asserts that `action` throws the numbered error `code` whose place or reason matches `pattern`. */
export function expectError(t: Test, code: DiagnosticCode, pattern: RegExp, action: () => unknown): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof EmbedError)) throw error;
    t.equal(error.code, code, error.message);
    t.match(`${error.where}: ${error.why}`, pattern);
    return;
  }
  t.fail(`${code} was not thrown`);
}
