/**
 * From the words of a command line to a command, its argument and the values of its options. Everything
 * unknown is an error.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { EmbedError } from '../diagnostics/error.js';
import { nearestName } from '../diagnostics/nearest-name.js';
import type { Command } from './command.js';
import { type GlobalOptionName, globalOptions } from './global-options.js';
import { commands, findCommand } from './index.js';
import type { OptionTable, OptionValues } from './option.js';

export interface CommandLine {
  /** null: only global options were given. */
  readonly command: Command | null;
  readonly argument: string | null;
  readonly operands: readonly string[];
  readonly values: OptionValues<OptionTable>;
  readonly globals: Readonly<Record<GlobalOptionName, boolean>>;
}

/**
 * Parses `args`, the words after the program's name. The first word that is no switch of every command names
 * the command; options alone mean the command `build`. Throws EM1201 unknown, EM1202 bad value, EM1210 missing, EM1208 too
 * much.
 */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const first = args.findIndex((word) => !isGlobal(word));
  if (first < 0)
    return { command: null, argument: null, operands: [], values: {}, globals: readGlobals(args) };
  const named = !args[first].startsWith('-');
  const command = findCommand(named ? args[first] : 'build');
  const rest = named ? args.filter((_, index) => index !== first) : args;
  const { values, positionals, switches } = readOptions(rest, command);
  const globals = readGlobals(switches.map((name) => `--${name}`));
  const wantsMore = !globals.help && !globals.version;
  const argument = wantsMore ? takeArgument(command, positionals) : null;
  return { command, argument, operands: positionals, values, globals };
}

const isGlobal = (word: string) =>
  word === '-h' || (word.startsWith('--') && Object.hasOwn(globalOptions, word.slice(2)));

function readGlobals(words: readonly string[]): CommandLine['globals'] {
  const given = (name: GlobalOptionName) => words.includes(`--${name}`);
  const help = given('help') || words.includes('-h');
  return {
    json: given('json'),
    quiet: given('quiet'),
    verbose: given('verbose'),
    'dry-run': given('dry-run'),
    help,
    version: given('version'),
  };
}

interface ReadOptions {
  readonly values: Record<string, unknown>;
  readonly positionals: readonly string[];
  /** Names of the global switches that were given. */
  readonly switches: readonly string[];
}

function readOptions(args: readonly string[], command: Command): ReadOptions {
  const table: OptionTable = { ...command.options, ...globalOptions };
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(command.options)) values[name] = option.absent;
  const positionals: string[] = [];
  const switches: string[] = [];
  const given = new Set<string>();
  for (const token of parseArgs({ ...parseArgsConfig(table), args: [...args] }).tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, rawName, value } = token;
    if (!Object.hasOwn(table, name) || (rawName !== `--${name}` && rawName !== '-h')) {
      throw unknownOption(rawName, command);
    }
    const option = table[name];
    if (option.placeholder === null) {
      if (value !== undefined) throw new EmbedError('EM1202', { where: rawName, why: 'it takes no value' });
      if (Object.hasOwn(globalOptions, name)) switches.push(name);
      else values[name] = true;
      continue;
    }
    if (given.has(name)) throw new EmbedError('EM1208', { where: rawName, why: 'it is given twice' });
    given.add(name);
    values[name] = option.parse(givenValue(token, option.placeholder, table), rawName);
  }
  return { values, positionals, switches };
}

/** Not strict: unknown options, missing values and the like are told in our own words. */
function parseArgsConfig(table: OptionTable) {
  const options: NonNullable<ParseArgsConfig['options']> = {};
  for (const [name, { placeholder }] of Object.entries(table)) {
    options[name] = { type: placeholder === null ? 'boolean' : 'string' };
  }
  options.help = { type: 'boolean', short: 'h' };
  return { options, strict: false, tokens: true, allowPositionals: true } as const;
}

/**
 * A value may begin with a dash (a prompt, say), but a known option after an option means that the value was
 * forgotten.
 */
function givenValue(
  token: {
    readonly rawName: string;
    readonly value?: string | undefined;
    readonly inlineValue?: boolean | undefined;
  },
  placeholder: string,
  table: OptionTable,
): string {
  const { rawName, value, inlineValue } = token;
  const forgotten =
    !inlineValue && value?.startsWith('--') && Object.hasOwn(table, value.slice(2).split('=', 1)[0]);
  if (value !== undefined && !forgotten) return value;
  const found = value === undefined ? 'it is the last word' : `${value} follows`;
  throw new EmbedError('EM1210', {
    where: rawName,
    why: `it needs a value, but ${found}`,
    fix: `write ${rawName} ${placeholder}`,
  });
}

function unknownOption(rawName: string, command: Command): EmbedError {
  const name = rawName.replace(/^-+/, '');
  const why = `embed-model ${command.name} has no option ${rawName}`;
  const takers = commands.filter((other) => Object.hasOwn(other.options, name)).map((other) => other.name);
  if (takers.length > 0) {
    return new EmbedError('EM1201', { where: 'command line', why: `${why}; ${takers.join(', ')} has` });
  }
  const names = Object.keys({ ...command.options, ...globalOptions }).map((known) => `--${known}`);
  const nearest = nearestName(rawName, names);
  const fix = nearest === undefined ? `run embed-model ${command.name} --help` : `did you mean ${nearest}?`;
  return new EmbedError('EM1201', { where: 'command line', why, fix });
}

function takeArgument({ name, argument }: Command, positionals: readonly string[]): string | null {
  const most = argument === null ? 0 : argument.many ? Number.POSITIVE_INFINITY : 1;
  if (positionals.length > most) {
    const takes = argument === null ? 'takes options only' : `takes one ${argument.name}`;
    const extra = positionals.slice(most).map((word) => `'${word}'`);
    throw new EmbedError('EM1208', {
      where: `embed-model ${name}`,
      why: `${name} ${takes}; ${extra.join(', ')} cannot be used`,
      fix: 'leave it out, or quote an option value that has spaces in it',
    });
  }
  if (argument?.required && positionals.length === 0) {
    throw new EmbedError('EM1210', {
      where: `embed-model ${name}`,
      why: `${argument.name} is missing: ${argument.help}`,
      fix: `embed-model ${name} ${argument.name}; more with embed-model ${name} --help`,
    });
  }
  return positionals[0] ?? null;
}
