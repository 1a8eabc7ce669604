/** Tells whoever wants to know which commands of other programs are run, as a reader would type them. */
import { channel } from 'node:diagnostics_channel';

const commands = channel('embed-model:tool');

export const toolCommands = {
  publish(line: string): void {
    commands.publish(line);
  },
  subscribe(listener: (line: string) => void): void {
    commands.subscribe((line) => listener(String(line)));
  },
};
