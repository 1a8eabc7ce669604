import t from 'tap';
import { commandHelp, helpDocument, programHelp } from '../../../codegen/commands/help-text.js';
import { commands } from '../../../codegen/commands/index.js';
import { parseCommandLine } from '../../../codegen/commands/parse-command-line.js';

/** The words of a command line as a shell would take them, for those that examples use. */
function shellWords(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain);
}

t.test('pages of commands', async (t) => {
  for (const command of commands) {
    const page = commandHelp(command);
    t.ok(
      page.replaceAll('\n', ' ').startsWith(`embed-model ${command.name}: ${command.summary} `),
      command.name,
    );
    for (const name of Object.keys(command.options))
      t.match(page, new RegExp(`^ {2}--${name}( |$)`, 'm'), name);
    for (const part of ['usage:', 'examples:', 'exit codes:', '--json'])
      t.match(page, part, `${command.name}: ${part}`);
  }
});

t.test('examples are command lines that work', async (t) => {
  for (const { name, examples } of commands) {
    t.ok(examples.length > 0, `${name} has examples`);
    for (const { command: line } of examples) {
      const [program, ...args] = shellWords(line);
      t.equal(program, 'embed-model');
      t.equal(parseCommandLine(args).command?.name, name, line);
    }
  }
});

t.test('pages fit the terminal', async (t) => {
  for (const columns of [60, 80, 200]) {
    for (const command of commands) {
      const lines = commandHelp(command, columns).split('\n');
      const prose = lines.filter((line) => !/^ {2}(embed-model|--)|^usage:/.test(line));
      const longest = Math.max(...prose.map((line) => line.length));
      t.ok(longest <= Math.min(columns, 96), `${command.name} at ${columns}: ${longest}`);
    }
  }
});

t.test('page of the program, and the tables for programs', async (t) => {
  const page = programHelp(commands, '1.2.3');
  for (const { name, summary } of commands) t.match(page, new RegExp(`^ {2}${name} +${summary}`, 'm'));
  t.match(page, 'embed-model 1.2.3');
  t.match(helpDocument(commands), {
    commands: commands.map(({ name }) => ({ name })),
    exitCodes: { 130: 'interrupted' },
  });
});
