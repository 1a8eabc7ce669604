/** embed-model doctor: what is installed here, and what to install. */
import { defineCommand } from './command.js';

export const doctor = defineCommand({
  name: 'doctor',
  summary: 'check toolchains, emulators and this machine, and say how to mend them',
  description: [
    'Looks for everything that embed-model can use: a line each, ok, warn (something is not possible ' +
      'here) or fail (nothing can be built), and below it what to do.',
  ],
  argument: null,
  options: {},
  examples: [
    { command: 'embed-model doctor', note: 'before the first build, and when a build failed with EM3xxx' },
  ],
  cleansUp: false,
  exitCodes: { 3: 'something failed: nothing can be built here' },
  async dryRun() {
    const { planDiagnosis } = await import('../../deploy/plan-diagnosis.js');
    return planDiagnosis();
  },
  async run({ output }) {
    const { diagnose, formatFindings } = await import('../../deploy/doctor.js');
    const findings = await diagnose();
    output.result({ findings }, () => formatFindings(findings));
    return findings.some(({ status }) => status === 'fail') ? 3 : 0;
  },
});
