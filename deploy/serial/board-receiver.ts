/** Receivers of YMODEM and XMODEM that a board may have, for bytes instead of the chunks of the agent. */
import type { XmodemVariant } from './send-xmodem.js';

export interface BoardReceiver {
  readonly variant: XmodemVariant;
  /** What starts it on the board; it writes receivedName into the current folder. */
  readonly command: string;
}

/** The file that a receiver writes. */
export const receivedName = 'c';

/** The best first: YMODEM knows the size of a file. Some distributions put an l before the names of lrzsz. */
const receivers: readonly (BoardReceiver & { readonly needs: string })[] = [
  ...['rb', 'lrb'].map((name) => ({
    ...{ variant: 'ymodem' as const, command: `${name} -b`, needs: `command -v ${name}` },
  })),
  ...['rx', 'lrx'].map((name) => ({
    ...{ variant: 'xmodem-1k' as const, command: `${name} -b -c ${receivedName}` },
    // That of busybox has no options.
    needs: `command -v ${name} && ${name} --version 2>&1 | grep lrzsz`,
  })),
  ...(
    [
      ['busybox rx', 'busybox --list | grep -x rx'],
      ['rx', 'rx --help 2>&1 | grep BusyBox'],
    ] as const
  ).map(([command, needs]) => ({
    ...{ variant: 'xmodem-1k' as const, command: `${command} ${receivedName}`, needs },
  })),
];

/** A script that says the number of the best receiver, or nothing. */
export const receiverScript = receivers
  .map(({ needs }, index) => `{ ${needs}; } > /dev/null 2>&1 && echo ${index} && exit`)
  .concat('exit 0')
  .join('\n');

/** From what receiverScript said; null where there is none. */
export function receiverOf(said: string): BoardReceiver | null {
  return /^\d+$/.test(said.trim()) ? (receivers[Number(said)] ?? null) : null;
}
