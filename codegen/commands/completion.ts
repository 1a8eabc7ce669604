/** embed-model completion: a script that makes a shell complete commands, options and targets. */
import { EmbedError } from '../diagnostics/error.js';
import { defineCommand } from './command.js';

export const completion = defineCommand({
  name: 'completion',
  summary: 'a script for bash, zsh or fish that completes commands, options and targets',
  description: [
    'Prints a script that a shell reads when it starts: commands, options, the names of targets and ' +
      'formats, files where files are expected. Nothing is started to complete a word. The script is that ' +
      'of this version; make it anew after an update.',
    'It serves the name embed-model, as npm install --global or a link to bin/embed-model.js gives it.',
  ],
  argument: { name: 'SHELL', help: 'bash, zsh or fish', required: true },
  options: {},
  examples: [
    {
      command: 'embed-model completion bash',
      note: 'for bash: source <(embed-model completion bash) in ~/.bashrc',
    },
    {
      command: 'embed-model completion zsh',
      note: 'for zsh: source <(embed-model completion zsh) behind compinit',
    },
    {
      command: 'embed-model completion fish',
      note: 'for fish: the output into ~/.config/fish/completions/embed-model.fish',
    },
  ],
  cleansUp: false,
  exitCodes: {},
  dryRun: async () => null,
  async run({ argument, output }) {
    const { completionTable, shells } = await import('./completion-table.js');
    const shell = shells.find((name) => name === argument);
    if (shell === undefined) {
      const why = `'${argument}' is none of ${shells.join(', ')}`;
      throw new EmbedError('EM1202', { where: 'embed-model completion', why });
    }
    const { completionScript } = await import('./completion-scripts.js');
    const { commands } = await import('./index.js');
    const { targets } = await import('../../targets/index.js');
    const names = targets.flatMap(({ name, aliases }) => [name, ...aliases]);
    const script = completionScript(shell, completionTable(commands, names));
    output.result({ shell, script }, () => script.trimEnd());
    return 0;
  },
});
