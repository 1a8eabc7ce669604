/** Options as data: how one is written, what help says of it, and how its text becomes a value. */
import { decimalToQ16 } from '../arithmetic/decimal.js';
import { EmbedError } from '../diagnostics/error.js';

export interface Option<T> {
  /** What stands for the value in help, such as FILE; null for a switch. */
  readonly placeholder: string | null;
  readonly help: string;
  /** The value where the option is not given. */
  readonly absent: T;
  /** The default in the words of help; null where there is none worth telling. */
  readonly defaultText: string | null;
  /** Throws EM1202; `name` is the option with its dashes. A switch is never parsed. */
  parse(text: string, name: string): T;
}

/** Options by name without dashes, in the order of help. */
export type OptionTable = Readonly<Record<string, Option<unknown>>>;

export type OptionValues<T extends OptionTable> = {
  readonly [Name in keyof T]: T[Name] extends Option<infer Value> ? Value : never;
};

/** EM1202 in the words every option uses. */
export function badValue(name: string, text: string, expected: string): EmbedError {
  const shown = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return new EmbedError('EM1202', { where: name, why: `it takes ${expected}, not '${shown}'` });
}

/** A switch: true where it is given. */
export function flag(help: string): Option<boolean> {
  return { placeholder: null, help, absent: false, defaultText: null, parse: () => true };
}

/** Any text but none; null where it is not given. */
export function text(
  placeholder: string,
  help: string,
  defaultText: string | null = null,
): Option<string | null> {
  const parse = (value: string, name: string) => {
    if (value === '') throw badValue(name, value, `a ${placeholder} that is not empty`);
    return value;
  };
  return { placeholder, help, absent: null, defaultText, parse };
}

/** Any text, the empty one too; null where it is not given. */
export function prompt(help: string, defaultText: string | null = null): Option<string | null> {
  return { placeholder: 'TEXT', help, absent: null, defaultText, parse: (value) => value };
}

export interface IntegerRange {
  readonly min: number;
  readonly max: number;
}

/** Digits only, in [min, max]. */
export function integer<Absent extends number | null>(
  help: string,
  { min, max }: IntegerRange,
  absent: Absent,
  defaultText: string | null = absent === null ? null : String(absent),
): Option<number | Absent> {
  const parse = (value: string, name: string) => {
    const number = Number(value);
    if (!/^\d{1,15}$/.test(value) || number < min || number > max) {
      throw badValue(name, value, `an integer from ${min} to ${max}`);
    }
    return number;
  };
  return { placeholder: 'N', help, absent, defaultText, parse };
}

const UINT64_MAX = 2n ** 64n - 1n;

/** Decimal digits of an unsigned 64-bit number, kept as text: a double has no room for it. */
export function unsigned64(help: string, absent: string): Option<string> {
  const parse = (value: string, name: string) => {
    if (!/^\d{1,30}$/.test(value) || BigInt(value) > UINT64_MAX) {
      throw badValue(name, value, 'an integer from 0 to 2^64 - 1');
    }
    return BigInt(value).toString();
  };
  return { placeholder: 'N', help, absent, defaultText: absent, parse };
}

/** A decimal in Q16: [least / 65536, high]. */
export function q16(
  placeholder: string,
  help: string,
  { leastQ16, high }: { readonly leastQ16: number; readonly high: number },
  absentQ16: number,
  defaultText: string,
): Option<number> {
  const parse = (value: string, name: string) => {
    const found = decimalToQ16(value, high);
    if (found === null || found < leastQ16) {
      const from = leastQ16 === 0 ? 'from 0' : 'above 0';
      throw badValue(
        name,
        value,
        `a decimal ${from} to ${high} such as 0.8, at most 14 digits after the point`,
      );
    }
    return found;
  };
  return { placeholder, help, absent: absentQ16, defaultText, parse };
}

/** Token ids with commas between, at most 2^20 of them. Null where they are not given. */
export function tokenIds(help: string): Option<readonly number[] | null> {
  const parse = (value: string, name: string) => {
    if (!/^\d{1,9}(?:\s*,\s*\d{1,9})*$/.test(value)) throw badValue(name, value, 'token ids such as 1,2,3');
    const ids = value.split(',').map(Number);
    if (ids.length > 2 ** 20) throw badValue(name, `${ids.length} ids`, `at most ${2 ** 20} token ids`);
    return ids;
  };
  return { placeholder: 'IDS', help, absent: null, defaultText: null, parse };
}

/** One of a few words; null where it is not given. */
export function oneOf<Word extends string>(
  placeholder: string,
  help: string,
  words: readonly Word[],
  defaultText: string | null = null,
): Option<Word | null> {
  const parse = (value: string, name: string) => {
    const found = words.find((word) => word === value);
    if (found === undefined) throw badValue(name, value, words.join(', '));
    return found;
  };
  return { placeholder, help, absent: null, defaultText, parse };
}

/** A percentage above 0 and up to 100 %, as a fraction: 0.02 for 2%. */
export function percentage(help: string, absent: number, defaultText: string): Option<number> {
  const parse = (value: string, name: string) => {
    const found = /^(\d{1,3}(?:\.\d{1,6})?) ?%$/.exec(value);
    const number = Number(found?.[1] ?? 0);
    if (number <= 0 || number > 100) throw badValue(name, value, 'a percentage above 0 such as 2% or 0.5%');
    return number / 100;
  };
  return { placeholder: 'PERCENT', help, absent, defaultText, parse };
}

const byteUnits: Readonly<Record<string, number>> = { '': 1, kB: 1e3, MB: 1e6, GB: 1e9 };

/** Bytes, as 100MB, 800kB or 1500000; MB is 10^6 bytes. Null where they are not given. */
export function byteCount(help: string): Option<number | null> {
  const parse = (value: string, name: string) => {
    const found = /^(\d{1,12}(?:\.\d{1,6})?) ?(kB|MB|GB|)$/.exec(value);
    const bytes = Math.floor(Number(found?.[1] ?? 0) * byteUnits[found?.[2] ?? '']!);
    if (bytes < 1 || bytes > 1e12) throw badValue(name, value, 'bytes such as 100MB, 800kB or 1500000');
    return bytes;
  };
  return { placeholder: 'BYTES', help, absent: null, defaultText: null, parse };
}
