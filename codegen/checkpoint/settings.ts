import { EmbedError } from '../diagnostics/error.js';
import { isJsonObject, type JsonObject } from './json-object.js';

/** The settings of a config.json, or of an object in it, read by key with type and range checked. */
export class Settings {
  /**
   * @param where the file, for messages
   * @param values the parsed object
   * @param prefix what stands before a key in messages, such as `rope_parameters.`
   */
  constructor(
    readonly where: string,
    private readonly values: JsonObject,
    private readonly prefix = '',
  ) {}

  /** The value as it stands; undefined when the key is absent. */
  get(key: string): unknown {
    return Object.hasOwn(this.values, key) ? this.values[key] : undefined;
  }

  /** Whether the key is there with a value other than null. */
  has(key: string): boolean {
    const value = this.get(key);
    return value !== undefined && value !== null;
  }

  /** Integer in [least, most]. Throws EM1005 when absent, EM1006 when anything else. */
  integer(key: string, least: number, most: number): number {
    const value = this.require(key);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most) {
      throw this.unusable(key, `an integer from ${least} to ${most}`);
    }
    return value;
  }

  /** Finite number in [least, most]. Throws EM1005 when absent, EM1006 when anything else. */
  number(key: string, least: number, most: number): number {
    const value = this.require(key);
    if (typeof value !== 'number' || !(value >= least && value <= most)) {
      throw this.unusable(key, `a number from ${least} to ${most}`);
    }
    return value;
  }

  /** Boolean, or null when the key is absent or null. Throws EM1006 when anything else. */
  boolean(key: string): boolean | null {
    if (!this.has(key)) return null;
    const value = this.get(key);
    if (typeof value !== 'boolean') throw this.unusable(key, 'true or false');
    return value;
  }

  /** The object under a key, or null when the key is absent or null. Throws EM1006 when anything else. */
  object(key: string): Settings | null {
    if (!this.has(key)) return null;
    const value = this.get(key);
    if (!isJsonObject(value)) throw this.unusable(key, 'an object');
    return new Settings(this.where, value, `${this.prefix}${key}.`);
  }

  /** Token ids under a key that may hold one id, a list of them, null or nothing. Throws EM1006. */
  tokenIds(key: string, vocabSize: number): number[] {
    if (!this.has(key)) return [];
    const value = this.get(key);
    const ids: unknown[] = Array.isArray(value) ? value : [value];
    return ids.map((id) => {
      if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= vocabSize) {
        throw this.unusable(key, `token ids from 0 to ${vocabSize - 1}`);
      }
      return id;
    });
  }

  /** EM1008: the value asks for something that is not computed. */
  unsupported(key: string, supported: string): EmbedError {
    return new EmbedError('EM1008', {
      where: this.where,
      why: `${this.prefix}${key} is ${show(this.get(key))}; supported: ${supported}`,
    });
  }

  /** EM1006: the value is of the wrong type or out of range. */
  unusable(key: string, expected: string): EmbedError {
    return new EmbedError('EM1006', {
      where: this.where,
      why: `${this.prefix}${key} is ${show(this.get(key))}; expected: ${expected}`,
    });
  }

  private require(key: string): unknown {
    if (!this.has(key)) {
      throw new EmbedError('EM1005', { where: this.where, why: `${this.prefix}${key} is missing` });
    }
    return this.get(key);
  }
}

/** A value as JSON, shortened so that a message stays a line. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'absent';
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
