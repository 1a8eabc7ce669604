/** What the process ends with, whatever the command. */
export const exitCodes = {
  0: 'done',
  1: 'the product fell short',
  2: 'bad input or usage',
  3: 'the surroundings failed: toolchain, emulator, time-out; or an internal error (EM9001)',
  4: 'busy',
  130: 'interrupted',
} as const;

export type ExitCode = keyof typeof exitCodes;
