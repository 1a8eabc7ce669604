/** What --help prints, made from the tables of commands and options. */
import { exitCodes } from '../diagnostics/exit-codes.js';
import type { Command } from './command.js';
import { globalOptions } from './global-options.js';
import type { OptionTable } from './option.js';
import { wrapText } from './wrap-text.js';

/** Columns of help on a terminal wider than that, and where there is none. */
const WIDTH = 96;

/** The page of one command. */
export function commandHelp(command: Command, columns = WIDTH): string {
  const width = Math.min(columns, WIDTH);
  const sections = [
    wrapText(`embed-model ${command.name}: ${command.summary}`, width).join('\n'),
    `usage: ${usageOf(command)}`,
    ...command.description.map((paragraph) => wrapText(paragraph, width).join('\n')),
    ...(command.argument === null
      ? []
      : [listing('argument:', [[command.argument.name, command.argument.help]], width)]),
    ...(Object.keys(command.options).length === 0
      ? []
      : [listing('options:', optionRows(command.options), width)]),
    listing('everywhere:', optionRows(globalOptions), width),
    examplesOf(command, width),
    listing('exit codes:', exitCodeRows(command), width),
  ];
  return sections.join('\n\n');
}

/** The page of the program. */
export function programHelp(commands: readonly Command[], version: string, columns = WIDTH): string {
  const width = Math.min(columns, WIDTH);
  const about =
    'embed-model compiles a small language model into freestanding C with integer-only kernels, ' +
    'compiles that C for a board, runs it here where it can (by itself or under an emulator) and ' +
    'proves that its logits equal those of the reference bit for bit.';
  return [
    `embed-model ${version}`,
    wrapText(about, width).join('\n'),
    'usage: embed-model COMMAND [options]\n' +
      '       embed-model --target NAME [options]      the same as embed-model build',
    listing(
      'commands:',
      commands.map(({ name, summary }) => [name, summary]),
      width,
    ),
    listing('everywhere:', optionRows(globalOptions), width),
    listing(
      'to begin:',
      [
        ['embed-model doctor', 'what is installed, and what to install'],
        ['embed-model targets', 'the machines there are'],
        ['embed-model --target x86_64-avx2', 'the bundled model, for a PC'],
        ['embed-model build --help', 'all about building'],
      ],
      width,
    ),
    listing(
      'exit codes:',
      Object.entries(exitCodes).map(([code, meaning]) => [code, meaning]),
      width,
    ),
  ].join('\n\n');
}

/** The tables themselves, for programs. */
export function helpDocument(commands: readonly Command[]): unknown {
  const options = (table: OptionTable) =>
    Object.entries(table).map(([name, option]) => ({
      name: `--${name}`,
      value: option.placeholder,
      help: option.help,
      default: option.defaultText,
    }));
  return {
    commands: commands.map((command) => ({
      name: command.name,
      summary: command.summary,
      usage: usageOf(command),
      options: options(command.options),
    })),
    everywhere: options(globalOptions),
    exitCodes,
  };
}

function usageOf({ name, argument, options }: Command): string {
  const place = argument === null ? '' : argument.required ? ` ${argument.name}` : ` [${argument.name}]`;
  const shown = name === 'build' ? '[build] --target NAME' : name;
  return `embed-model ${shown}${place}${Object.keys(options).length === 0 ? '' : ' [options]'}`;
}

function optionRows(table: OptionTable): [string, string][] {
  return Object.entries(table).map(([name, { placeholder, help, defaultText }]) => [
    placeholder === null ? `--${name}` : `--${name} ${placeholder}`,
    defaultText === null ? help : `${help} (default: ${defaultText})`,
  ]);
}

function exitCodeRows(command: Command): [string, string][] {
  const codes = { ...exitCodes, ...command.exitCodes };
  return Object.entries(codes).map(([code, meaning]) => [code, meaning]);
}

function examplesOf({ examples }: Command, width: number): string {
  const lines = examples.flatMap(({ command, note }) => [
    `  ${command}`,
    ...wrapText(note, width - 6).map((line) => `      ${line}`),
  ]);
  return ['examples:', ...lines].join('\n');
}

/** Two columns; a first column that is long keeps its line and its text goes below. */
function listing(title: string, rows: readonly (readonly [string, string])[], width: number): string {
  const longest = Math.max(...rows.map(([name]) => name.length));
  const indent = 2 + Math.min(longest, 34) + 2;
  const lines = rows.flatMap(([name, text]) => {
    const [first, ...rest] = wrapText(text, Math.max(20, width - indent));
    const label = `  ${name}`.padEnd(indent);
    const below = rest.map((line) => ' '.repeat(indent) + line);
    return label.length > indent ? [label, ' '.repeat(indent) + first, ...below] : [label + first, ...below];
  });
  return [title, ...lines].join('\n');
}
