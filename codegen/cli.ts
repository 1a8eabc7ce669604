/** The command line: parses it, runs the command, and turns whatever happens into words and an exit code. */
import { showHelp } from './commands/help.js';
import { Interruption } from './commands/interruption.js';
import { notThereYet } from './commands/later.js';
import { Output, type OutputMode } from './commands/output.js';
import { type CommandLine, parseCommandLine } from './commands/parse-command-line.js';
import { createProgress, type ShownProgress } from './commands/progress.js';
import { toolCommands } from './compile/tool-commands.js';
import { EmbedError } from './diagnostics/error.js';
import type { ExitCode } from './diagnostics/exit-codes.js';
import { toolVersion } from './version.js';

/**
 * Runs the command line of this process, `args` being the words after the program's name, and ends the
 * process.
 */
export async function main(args: readonly string[] = process.argv.slice(2)): Promise<never> {
  const code = await new Session(outputMode(args)).run(args);
  await Promise.all([process.stdout, process.stderr].map(written));
  process.exit(code);
}

/** Read before the command line is parsed: errors in it are told in the same way as all others. */
function outputMode(args: readonly string[]): OutputMode {
  const end = args.indexOf('--');
  const words = end < 0 ? args : args.slice(0, end);
  return {
    json: words.includes('--json'),
    quiet: words.includes('--quiet'),
    verbose: words.includes('--verbose'),
  };
}

/** What one run of the program holds together: its output, its progress and its interruption. */
class Session {
  private readonly output: Output;
  private readonly progress: ShownProgress;
  private readonly interruption = new Interruption();
  private readerLeft = false;

  constructor(mode: OutputMode) {
    this.output = new Output(process.stdout, process.stderr, mode);
    this.progress = createProgress(process.stderr, mode.quiet, process.env);
    process.stdout.on('error', (error: NodeJS.ErrnoException) => this.onStdoutError(error));
    process.stderr.on('error', () => {}); // nobody is left to talk to
    process.on('uncaughtException', (error) => process.exit(this.fail(error)));
  }

  async run(args: readonly string[]): Promise<ExitCode> {
    try {
      return await this.runCommand(parseCommandLine(args));
    } catch (error) {
      return this.fail(error);
    } finally {
      this.progress.close();
    }
  }

  private async runCommand({ command, argument, operands, values, globals }: CommandLine): Promise<ExitCode> {
    const { output, progress } = this;
    if (globals.version) {
      const version = toolVersion();
      output.result({ name: 'embed-model', version }, () => version);
      return 0;
    }
    if (globals.help || command === null) return showHelp(command, output);
    if (command.cleansUp) this.interruption.watch(() => progress.say('stopping; again to stop at once'));
    if (globals.verbose) toolCommands.subscribe((line) => progress.say(`$ ${line}`));
    const context = { progress, signal: this.interruption.signal };
    const invocation = { values, argument, operands, output, context };
    if (!globals['dry-run']) return command.run(invocation);
    if (command.dryRun === undefined) {
      throw notThereYet(`--dry-run of ${command.name}`, 'run it without; --verbose shows what it starts');
    }
    const dryRun = await command.dryRun(invocation);
    if (dryRun === null) return command.run(invocation);
    const { dryRunSummary } = await import('./commands/dry-run-summary.js');
    output.result({ dryRun }, () => dryRunSummary(dryRun));
    return 0;
  }

  /** Tells what went wrong. */
  private fail(error: unknown): ExitCode {
    this.progress.close();
    if (this.readerLeft) return 0;
    const { signal } = this.interruption;
    return this.output.failure(asEmbedError(signal.aborted ? signal.reason : error));
  }

  /** A reader that left, as `| head` does, is no failure, but a reason to stop. */
  private onStdoutError(error: NodeJS.ErrnoException): void {
    if (error.code !== 'EPIPE') throw error;
    this.readerLeft = true;
    this.interruption.stop('EPIPE');
  }
}

/**
 * Errors that no stage gave a number: what the system refused has a name for the call, all others are bugs.
 */
function asEmbedError(error: unknown): EmbedError {
  if (error instanceof EmbedError) return error;
  const why = error instanceof Error ? error.message : String(error);
  const { syscall, path } = (error ?? {}) as NodeJS.ErrnoException;
  return syscall === undefined
    ? new EmbedError('EM9001', { where: `embed-model ${toolVersion()}`, why, cause: error })
    : new EmbedError('EM9003', { where: path ?? syscall, why, cause: error });
}

function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}
