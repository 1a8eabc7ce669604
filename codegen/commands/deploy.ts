/** embed-model deploy: a bundle to a board, proved and measured there. */
import type { BoardChoice } from '../../deploy/boards/select-board.js';
import { EmbedError } from '../diagnostics/error.js';
import { boardChoice, boardOptions, sessionOptions } from './board-options.js';
import { defineCommand } from './command.js';
import { flag, integer } from './option.js';
import { formatBytes } from './quantities.js';
import { contextRange, threadsOption } from './run-options.js';
import { fieldList } from './text-table.js';

const options = {
  ...boardOptions,
  'prompt-tokens': integer(
    'tokens of the prompt that is measured',
    { min: 1, max: contextRange.max },
    null,
    '64, or half of a shorter context',
  ),
  tokens: integer(
    'tokens to generate for the measurement',
    { min: 1, max: contextRange.max },
    null,
    '64, or what a shorter context leaves',
  ),
  repeat: integer('times to measure', { min: 1, max: 10_000 }, 3),
  threads: threadsOption,
  ci: flag('write annotations and a summary for GitHub Actions; on by itself where GITHUB_ACTIONS is true'),
} as const;

export const deploy = defineCommand({
  name: 'deploy',
  summary: 'bring a bundle to a board, check what it computes there, and measure it',
  description: [
    'Connects to the board, takes its lock, uploads em-run and model.blob (nothing that is there already; ' +
      'an upload that was cut goes on where it stopped), checks their SHA-256 there, runs the golden ' +
      'prompts and compares tokens and logits digest with the reference, then warms up and measures ' +
      '--repeat times. The lock is given back whatever happens.',
    'Host keys are checked as ssh checks them. On the board a POSIX shell and the usual small programs ' +
      '(coreutils or busybox) are enough; nothing there needs root, and nothing stays but the folder of ' +
      'boards.json (~/.cache/embed-model).',
    'A result that differs from the reference is exit code 1 and is never tried again; a board that cannot ' +
      'be reached, a cut or a time-out is 3; a board that somebody else has is 4.',
  ],
  argument: { name: 'BUNDLE', help: 'folder that embed-model build made', required: true },
  options,
  examples: [
    {
      command: 'embed-model deploy ./os-nano-cortex-a72 --ssh pi@192.168.1.20',
      note: 'keys as ssh finds them',
    },
    {
      command: 'embed-model deploy ./os-nano-riscv-u74 --board vf2 --wait 10m --json',
      note: 'as CI does it',
    },
    {
      command: 'embed-model deploy ./os-nano-cortex-a72 --serial /dev/ttyUSB0@1500000 --login root',
      note: 'by the console',
    },
  ],
  cleansUp: true,
  exitCodes: {
    1: 'the board computes something else than the reference, or the bundle was not accepted when it was built',
  },
  async dryRun({ argument, values }) {
    const { readManifest } = await import('../bundle/manifest.js');
    const { board, ssh, serial } = requiredBoard(values);
    const { singleFile, golden } = readManifest(argument!);
    const files = singleFile ? 'bin/em-run' : 'bin/em-run and model.blob';
    const notes = [
      `Would connect to ${board ?? ssh ?? serial} and take its lock.`,
      `Would upload ${files}, as far as they are not there already, and check their SHA-256.`,
      `Would run em-run there ${golden.length} times to compare golden runs, once to warm up, ${values.repeat} times to measure.`,
    ];
    return { files: [], commands: [], notes };
  },
  async run({ argument, values, output, context }) {
    const choice = requiredBoard(values);
    const { selectBoard } = await import('../../deploy/boards/select-board.js');
    const { deployBundle } = await import('../../deploy/deploy-bundle.js');
    const { tellGithub } = await import('../../deploy/report/github.js');
    const { benchSummary } = await import('./bench-summary.js');
    const { repeat, threads, tokens, force } = values;
    const request = { repeat, threads, tokens, force, promptTokens: values['prompt-tokens'] };
    const result = await deployBundle(
      argument!,
      await selectBoard(choice),
      request,
      sessionOptions(values, context),
      context,
    );
    const { sentBytes, goldenRuns, goldenEqual } = result.deployment;
    output.result(result, () =>
      [
        benchSummary(result),
        fieldList([
          ['upload     ', sentBytes === 0 ? 'nothing: the board had it' : formatBytes(sentBytes)],
          ['golden runs', `${goldenEqual} of ${goldenRuns} equal the reference`],
        ]),
      ].join('\n'),
    );
    if (values.ci || process.env.GITHUB_ACTIONS === 'true') {
      tellGithub([result], process.env, (line) => process.stderr.write(`${line}\n`));
    }
    return result.output.matchesGolden === false ? 1 : 0;
  },
});

/** Throws EM1210 where no board is named. */
function requiredBoard(values: Parameters<typeof boardChoice>[0]): BoardChoice {
  const choice = boardChoice(values);
  if (choice !== null) return choice;
  throw new EmbedError('EM1210', {
    where: 'embed-model deploy',
    why: 'no board is named',
    fix: 'give --board NAME, --ssh USER@HOST or --serial DEVICE',
  });
}
