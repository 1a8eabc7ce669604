/** embed-model doctor: what is installed here, and what to install. */

import type { BoardChoice } from '../../deploy/boards/select-board.js';
import type { Finding } from '../../deploy/doctor.js';
import type { StageContext } from '../progress.js';
import { boardChoice, boardOptions } from './board-options.js';
import { defineCommand } from './command.js';

const { wait: _wait, 'allow-slow': _slow, force: _force, ...reaching } = boardOptions;
const noSession = { wait: 0, 'allow-slow': false, force: false } as const;

export const doctor = defineCommand({
  name: 'doctor',
  summary: 'check toolchains, emulators and this machine, and say how to mend them',
  description: [
    'Looks for everything that embed-model can use: a line each, ok, warn (something is not possible ' +
      'here) or fail (nothing can be built), and below it what to do.',
    'With a board, looks at that board instead: connection and login, programs, processor and the targets it runs, ' +
      'whether its folder can be written and run from, free space, the lock, clock, temperature and energy.',
  ],
  argument: null,
  options: reaching,
  examples: [
    { command: 'embed-model doctor', note: 'before the first build, and when a build failed with EM3xxx' },
    {
      command: 'embed-model doctor --board pi4',
      note: 'before the first deploy, and when one failed with EM4xxx',
    },
  ],
  cleansUp: false,
  exitCodes: { 3: 'something failed: nothing can be built here, or the board cannot be used' },
  async dryRun({ values }) {
    const choice = boardChoice({ ...values, ...noSession });
    if (choice !== null) {
      const note = `Would connect to ${choice.board ?? choice.ssh ?? choice.serial}.`;
      return { files: [], commands: [], notes: [note] };
    }
    const { planDiagnosis } = await import('../../deploy/plan-diagnosis.js');
    return planDiagnosis();
  },
  async run({ values, output, context }) {
    const { diagnose, formatFindings } = await import('../../deploy/doctor.js');
    const choice = boardChoice({ ...values, ...noSession });
    const findings =
      choice === null ? await diagnose() : await ofBoard(choice, values['accept-new'], context);
    output.result({ findings }, () => formatFindings(findings));
    return findings.some(({ status }) => status === 'fail') ? 3 : 0;
  },
});

async function ofBoard(choice: BoardChoice, acceptNew: boolean, context: StageContext): Promise<Finding[]> {
  const { selectBoard } = await import('../../deploy/boards/select-board.js');
  const { diagnoseBoard } = await import('../../deploy/boards/diagnose-board.js');
  return diagnoseBoard(await selectBoard(choice), { acceptNew, ...context });
}
