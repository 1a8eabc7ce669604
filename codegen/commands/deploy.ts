/** embed-model deploy: a bundle to a board, proved and measured there. */
import type { BoardChoice } from '../../deploy/boards/select-board.js';
import type { DeployOptions, DeployResult } from '../../deploy/deploy-bundle.js';
import type { Assignment } from '../../deploy/fleet/assign-bundles.js';
import type { Installation } from '../../deploy/install/install-bundle.js';
import type { ReportContent } from '../../deploy/report/report-content.js';
import { EmbedError } from '../diagnostics/error.js';
import { boardChoice, boardOptions, sessionOptions } from './board-options.js';
import { defineCommand, type Invocation } from './command.js';
import { badValue, flag, integer, type Option, text } from './option.js';
import { formatBytes } from './quantities.js';
import { contextRange, exclusive, threadsOption } from './run-options.js';
import { fieldList } from './text-table.js';

const options = {
  ...boardOptions,
  board: text(
    'NAMES',
    'board of boards.json, in this folder or the nearest above; several with commas; or labgrid:PLACE',
  ),
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
  install: remoteFolder(
    'put the bundle there for boot, once it is proved; the release before stays until then',
  ),
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
    '--install DIR then puts the bundle below DIR on the board: DIR/current is the release in use, DIR/previous the ' +
      'one before. The new one becomes current only after it has answered its golden prompts from there. DIR/start, ' +
      'which a systemd unit runs at boot, proves the current release again and goes back to the previous one ' +
      'where that fails.',
    'A result that differs from the reference is exit code 1 and is never tried again; a board that cannot ' +
      'be reached, a cut or a time-out is 3; a board that somebody else has is 4.',
    'Several boards (--board pi4,vf2) are served at the same time; what one does stops no other. With --json the ' +
      'document is then {"results", "failures"}, which report takes. The exit code is the gravest of all boards: ' +
      '1, then 2, 3 and 4.',
  ],
  argument: {
    name: 'BUNDLE',
    help: 'folders that embed-model build made; of several, a board gets the one of its target',
    required: true,
    many: true,
  },
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
      command: 'embed-model deploy ./os-nano-cortex-a72 ./os-nano-riscv-u74 --board pi4,vf2 --wait 10m',
      note: 'two boards side by side, each with the bundle of its target',
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
  async dryRun({ operands, values }) {
    const { readManifest } = await import('../bundle/manifest.js');
    const notes = requiredBoards(values).flatMap(({ board, ssh, serial }) => [
      `Would connect to ${board ?? ssh ?? serial} and take its lock.`,
    ]);
    for (const bundle of operands) {
      const { singleFile, golden } = readManifest(bundle);
      const files = singleFile ? 'bin/em-run' : 'bin/em-run and model.blob';
      const which = operands.length === 1 ? '' : ` of ${bundle} to the boards of its target`;
      notes.push(
        `Would upload ${files}${which}, as far as they are not there already, and check their SHA-256.`,
        `Would run em-run there ${golden.length} times to compare golden runs, once to warm up, ${values.repeat} times to measure.`,
      );
    }
    if (values.install !== null) notes.push(`Would put it into ${values.install} there, once it is proved.`);
    return { files: [], commands: [], notes };
  },
  async run(call) {
    const { operands, values } = call;
    const { selectBoard } = await import('../../deploy/boards/select-board.js');
    const { assignBundles } = await import('../../deploy/fleet/assign-bundles.js');
    const boards = await Promise.all(requiredBoards(values).map((choice) => selectBoard(choice)));
    const assignments = assignBundles(operands, boards);
    const content =
      assignments.length === 1 ? await toOne(call, assignments[0]) : await toFleet(call, assignments);
    if (values.ci || process.env.GITHUB_ACTIONS === 'true') {
      const { tellGithub } = await import('../../deploy/report/github.js');
      tellGithub(content, process.env, (line) => process.stderr.write(`${line}\n`));
    }
    const { reportExitCode } = await import('../../deploy/report/report-exit-code.js');
    return reportExitCode(content);
  },
});

type Call = Invocation<typeof options>;

function deployOptions({ values }: Call): DeployOptions {
  const { repeat, threads, tokens, force, install } = values;
  return { repeat, threads, tokens, force, install, promptTokens: values['prompt-tokens'] };
}

async function toOne(call: Call, { board, bundle }: Assignment): Promise<ReportContent> {
  const { deployBundle } = await import('../../deploy/deploy-bundle.js');
  const { benchSummary } = await import('./bench-summary.js');
  const { values, context, output } = call;
  const result = await deployBundle(
    bundle,
    board,
    deployOptions(call),
    sessionOptions(values, context),
    context,
  );
  output.result(result, () => [benchSummary(result), deploymentSummary(result)].join('\n'));
  return { results: [result], failures: [], comparisons: [], history: [] };
}

async function toFleet(call: Call, assignments: readonly Assignment[]): Promise<ReportContent> {
  const { deployFleet } = await import('../../deploy/fleet/deploy-fleet.js');
  const { textReport } = await import('../../deploy/report/table-report.js');
  const { values, context, output } = call;
  const outcome = await deployFleet(
    assignments,
    deployOptions(call),
    sessionOptions(values, context),
    context,
  );
  const content = { ...outcome, comparisons: [], history: [] };
  output.result(outcome, () => textReport(content));
  return content;
}

function deploymentSummary({ deployment }: DeployResult): string {
  const { sentBytes, goldenRuns, goldenEqual, installation } = deployment;
  return fieldList([
    ['upload     ', sentBytes === 0 ? 'nothing: the board had it' : formatBytes(sentBytes)],
    ['golden runs', `${goldenEqual} of ${goldenRuns} equal the reference`],
    ...(installation === undefined ? [] : [['installed  ', installationText(installation)] as const]),
  ]);
}

function installationText({ folder, current, previous, startedBy, moduleKernel }: Installation): string {
  const back = previous === null ? 'nothing to go back to' : `${previous.slice(0, 12)} to go back to`;
  const boot = startedBy === null ? 'nothing starts it at boot yet' : `proved at boot by ${startedBy}`;
  const module = moduleKernel === null ? '' : '; kernel module loaded';
  return `${folder}/current is ${current.slice(0, 12)}, ${back}; ${boot}${module}`;
}

/** A folder on a board, whose name means nothing to its shell. */
function remoteFolder(help: string): Option<string | null> {
  const parse = (value: string, name: string) => {
    if (/^(~\/|\/)[\w.+@-][\w.+@/-]*$/.test(value)) return value.replace(/\/+$/, '');
    throw badValue(name, value, 'a folder, absolute or below ~/, of letters, digits and . _ + @ -');
  };
  return { placeholder: 'DIR', help, absent: null, defaultText: null, parse };
}

/** One choice a board. Throws EM1210 where no board is named. */
function requiredBoards(values: Parameters<typeof boardChoice>[0]): BoardChoice[] {
  const choice = boardChoice(values);
  if (choice === null) {
    throw new EmbedError('EM1210', {
      where: 'embed-model deploy',
      why: 'no board is named',
      fix: 'give --board NAME, --ssh USER@HOST or --serial DEVICE',
    });
  }
  const names = [...new Set(choice.board?.split(',') ?? [null])];
  if (names.length > 1 && (choice.ssh !== null || choice.serial !== null)) {
    throw exclusive('--board with several names', choice.ssh === null ? '--serial' : '--ssh');
  }
  return names.map((board) => ({ ...choice, board }));
}
