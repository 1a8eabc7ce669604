/** What a command is: everything help says of it, the options it takes, and the function that does it. */
import type { ExitCode } from '../diagnostics/exit-codes.js';
import type { DryRun } from '../dry-run.js';
import type { StageContext } from '../progress.js';
import type { OptionTable, OptionValues } from './option.js';
import type { Output } from './output.js';

export interface Argument {
  /** As help writes it, such as BUNDLE. */
  readonly name: string;
  readonly help: string;
  readonly required: boolean;
  /** Whether several can be given. */
  readonly many?: true;
}

export interface Example {
  readonly command: string;
  /** What it does. */
  readonly note: string;
}

export interface Invocation<T extends OptionTable = OptionTable> {
  readonly values: OptionValues<T>;
  /** What was given for the command's argument. */
  readonly argument: string | null;
  /** All that was given for it; more than one only where the command takes many. */
  readonly operands: readonly string[];
  readonly output: Output;
  /** What stages get. */
  readonly context: StageContext;
}

export interface Command<T extends OptionTable = OptionTable> {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** Paragraphs: what it does and what to know before using it. */
  readonly description: readonly string[];
  readonly argument: Argument | null;
  readonly options: T;
  readonly examples: readonly Example[];
  /** Whether something must be put in order when it is interrupted; other commands end at once. */
  readonly cleansUp: boolean;
  /** Exit codes that mean something particular here. */
  readonly exitCodes: Readonly<Partial<Record<ExitCode, string>>>;
  /** What run() would do; null where that neither writes files nor starts programs. Without it, --dry-run is refused. */
  dryRun?(invocation: Invocation<T>): Promise<DryRun | null>;
  /** Modules beyond these tables are imported here, so that help and errors of usage come at once. */
  run(invocation: Invocation<T>): Promise<ExitCode>;
}

/** Keeps the types of the options of a command between its table and its function. */
export function defineCommand<T extends OptionTable>(command: Command<T>): Command<T> {
  return command;
}
