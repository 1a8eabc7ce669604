/** What a shell offers behind each word of a command line, made from the tables of commands and options. */
import { namedPlans } from '../quantize/plan.js';
import type { Command } from './command.js';
import { globalOptions } from './global-options.js';
import type { OptionTable } from './option.js';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** What can stand in a place: some words, files, folders; all of them empty where nothing can be offered. */
export interface Offer {
  readonly words: readonly string[];
  readonly paths: 'files' | 'folders' | null;
}

export interface OptionOffer {
  /** With its dashes. */
  readonly name: string;
  readonly help: string;
  /** null for a switch. */
  readonly value: Offer | null;
}

export interface CommandOffer {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionOffer[];
  /** null where the command takes no argument. */
  readonly argument: Offer | null;
}

export interface CompletionTable {
  /** The first is the one that options alone mean. */
  readonly commands: readonly CommandOffer[];
  readonly switches: readonly OptionOffer[];
}

/** `targetNames` are what --target takes. */
export function completionTable(
  commands: readonly Command[],
  targetNames: readonly string[],
): CompletionTable {
  const names: Names = {
    '--target': targetNames,
    '--quantize': ['auto', ...Object.keys(namedPlans)],
    COMMAND: commands.map(({ name }) => name),
    SHELL: shells,
  };
  const described = commands.map(({ name, summary, options, argument }) => ({
    name,
    summary,
    options: optionOffers(options, names),
    argument: argument === null ? null : offerOf(argument.name, argument.name, names),
  }));
  const isBuild = ({ name }: CommandOffer) => name === 'build';
  return {
    commands: [...described.filter(isBuild), ...described.filter((one) => !isBuild(one))],
    switches: optionOffers(globalOptions, names),
  };
}

/** Words for options and for arguments of which the option tables say only what kind they are. */
type Names = Readonly<Record<string, readonly string[]>>;

function optionOffers(options: OptionTable, names: Names): OptionOffer[] {
  return Object.entries(options).map(([name, { placeholder, help }]) => ({
    name: `--${name}`,
    help,
    value: placeholder === null ? null : offerOf(`--${name}`, placeholder, names),
  }));
}

/** A placeholder names its alternatives: words in small letters stand for themselves, gcc|clang|PATH. */
function offerOf(name: string, placeholder: string, names: Names): Offer {
  const alternatives = placeholder.split('|');
  const words = names[name] ?? alternatives.filter((word) => /^[a-z0-9][a-z0-9-]*$/.test(word));
  // A target may also be a file of the user's own.
  const isAny = (pattern: RegExp) => alternatives.some((word) => pattern.test(word));
  const takesFiles = name === '--target' || isAny(/^(?:FILE|PATH|PLAN|RESULT)\b/);
  const paths = takesFiles ? 'files' : isAny(/^(?:DIR|BUNDLE)\b/) ? 'folders' : null;
  return { words, paths };
}
