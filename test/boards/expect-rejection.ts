import type { Test } from 'tap';
import type { DiagnosticCode } from '../../codegen/diagnostics/catalog.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';

/** Asserts that `work` rejects with the numbered error `code` whose place or reason matches `pattern`. */
export async function expectRejection(
  t: Test,
  code: DiagnosticCode,
  pattern: RegExp,
  work: Promise<unknown>,
): Promise<EmbedError | null> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof EmbedError)) throw error;
    t.equal(error.code, code, error.message);
    t.match(`${error.where}: ${error.why}`, pattern);
    return error;
  }
  t.fail(`${code} was not thrown`);
  return null;
}
