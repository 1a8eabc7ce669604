import { isJsonObject, type JsonObject } from '../checkpoint/json-object.js';
import { EmbedError } from '../diagnostics/error.js';

/** A value as it stands in the file, cut to a readable length, for messages. */
export function quoted(value: unknown, most = 80): string {
  const text = JSON.stringify(value) ?? 'absent';
  return text.length > most ? `${text.slice(0, most)}...` : text;
}

/**
 * An object within a tokenizer file, with its place in it: every access says what was expected where. Throws
 * EM1102.
 */
export class JsonSection {
  /** The file. */
  readonly file: string;
  /** The way to the object from the top of the file, such as pre_tokenizer.pretokenizers[1]. */
  readonly place: string;
  readonly fields: JsonObject;

  constructor(file: string, place: string, fields: JsonObject) {
    this.file = file;
    this.place = place;
    this.fields = fields;
  }

  /** The object at a key, or null where it is absent or null. */
  section(key: string): JsonSection | null {
    const value = this.fields[key];
    if (value === undefined || value === null) return null;
    return this.asSection(value, this.placeOf(key));
  }

  /** The objects of an array; an absent one is empty. */
  sections(key: string): JsonSection[] {
    return this.list(key).map((value, i) => this.asSection(value, `${this.placeOf(key)}[${i}]`));
  }

  list(key: string): readonly unknown[] {
    const value = this.fields[key] ?? [];
    if (!Array.isArray(value)) throw this.malformed(key, 'an array');
    return value;
  }

  /** A string; null where it is absent, null or empty. */
  text(key: string): string | null {
    const value = this.fields[key] ?? '';
    if (typeof value !== 'string') throw this.malformed(key, 'a string');
    return value === '' ? null : value;
  }

  requiredText(key: string): string {
    const value = this.text(key);
    if (value === null) throw this.malformed(key, 'a string that is not empty');
    return value;
  }

  flag(key: string, byDefault: boolean): boolean {
    const value = this.fields[key] ?? byDefault;
    if (typeof value !== 'boolean') throw this.malformed(key, 'true or false');
    return value;
  }

  count(key: string): number {
    const value = this.fields[key];
    if (!Number.isSafeInteger(value) || Number(value) < 0) throw this.malformed(key, 'a number from 0');
    return Number(value);
  }

  placeOf(key: string): string {
    return this.place === '' ? key : `${this.place}.${key}`;
  }

  malformed(key: string, expected: string): EmbedError {
    const why = `${this.placeOf(key)} is ${quoted(this.fields[key])}; expected: ${expected}`;
    return new EmbedError('EM1102', { where: this.file, why });
  }

  private asSection(value: unknown, place: string): JsonSection {
    if (isJsonObject(value)) return new JsonSection(this.file, place, value);
    throw new EmbedError('EM1102', { where: this.file, why: `${place} is not an object` });
  }
}

/**
 * The steps of a component of tokenizer.json in their order: itself, or what it is a Sequence of under
 * `listKey`. An absent component has none.
 */
export function stepsOf(root: JsonSection, key: string, listKey: string): JsonSection[] {
  const steps: JsonSection[] = [];
  const first = root.section(key);
  const open = first ? [first] : [];
  for (let step = open.pop(); step !== undefined; step = open.pop()) {
    if (step.text('type') === 'Sequence') open.push(...step.sections(listKey).reverse());
    else steps.push(step);
  }
  return steps;
}
