/** A board that gave no result, and why: the surroundings failed, or what was asked of it could not be done. */
import type { EmbedError } from '../../codegen/diagnostics/error.js';
import type { ExitCode } from '../../codegen/diagnostics/exit-codes.js';

export interface BoardFailure {
  /** Name of the board, or what the error names where that is not known. */
  readonly board: string;
  /** As the command line tells of it with --json. */
  readonly error: Pick<EmbedError, 'code' | 'what' | 'where' | 'why' | 'fix'> & {
    readonly exitCode: ExitCode;
  };
}

export function boardFailure(board: string, error: EmbedError): BoardFailure {
  const { code, what, where, why, fix, exitCode } = error;
  return { board, error: { code, what, where, why, fix, exitCode } };
}

/** In one line. */
export const failureText = ({ error }: BoardFailure): string => `${error.code}: ${error.what}: ${error.why}`;
