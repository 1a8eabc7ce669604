/**
 * Checks a value against the part of JSON Schema (draft 7) that schemas/boards.schema.json uses, and says the first fault in words
 * a person can act on.
 */
import { nearestName } from '../../codegen/diagnostics/nearest-name.js';

export interface Schema {
  readonly $ref?: string;
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly description?: string;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly definitions?: Readonly<Record<string, Schema>>;
}

export interface Fault {
  /** Path of the value, such as boards[1].ssh.port; empty for the whole. */
  readonly at: string;
  readonly why: string;
}

/** The first fault of `value`, or null. `root` holds the definitions that $ref names. */
export function schemaFault(value: unknown, schema: Schema, root: Schema = schema, at = ''): Fault | null {
  const rule = resolve(schema, root);
  const fault = valueFault(value, rule);
  if (fault !== null) return { at, why: fault };
  if (Array.isArray(value)) {
    return firstFault(
      value.map((item, index) => [item, rule.items ?? {}, `${at}[${index}]`]),
      root,
    );
  }
  if (typeof value !== 'object' || value === null) return null;
  return objectFault(value as Record<string, unknown>, rule, root, at);
}

function objectFault(
  value: Readonly<Record<string, unknown>>,
  { properties = {}, required = [], additionalProperties }: Schema,
  root: Schema,
  at: string,
): Fault | null {
  const path = (key: string) => (at === '' ? key : `${at}.${key}`);
  const missing = required.find((key) => !Object.hasOwn(value, key));
  if (missing !== undefined) {
    const { description } = resolve(properties[missing] ?? {}, root);
    return { at, why: `${missing} is missing${description === undefined ? '' : `: ${description}`}` };
  }
  const stranger = Object.keys(value).find((key) => !Object.hasOwn(properties, key));
  if (stranger !== undefined && additionalProperties === false) {
    const names = Object.keys(properties);
    const nearest = nearestName(stranger, names);
    const hint = nearest === undefined ? `there are ${names.join(', ')}` : `did you mean ${nearest}?`;
    return { at: path(stranger), why: `there is no such setting; ${hint}` };
  }
  const known = Object.entries(value).filter(([key]) => Object.hasOwn(properties, key));
  return firstFault(
    known.map(([key, item]) => [item, properties[key], path(key)]),
    root,
  );
}

function firstFault(parts: readonly (readonly [unknown, Schema, string])[], root: Schema): Fault | null {
  for (const [value, schema, at] of parts) {
    const fault = schemaFault(value, schema, root, at);
    if (fault !== null) return fault;
  }
  return null;
}

function resolve(schema: Schema, root: Schema): Schema {
  if (schema.$ref === undefined) return schema;
  const name = schema.$ref.slice('#/definitions/'.length);
  const found = root.definitions?.[name];
  if (found === undefined) throw new Error(`the schema has no definition ${schema.$ref}`);
  return found;
}

/** What is wrong with the value itself, not with what is in it. */
function valueFault(value: unknown, rule: Schema): string | null {
  const { type, description, pattern, minLength = 0, minimum = -Infinity, maximum = Infinity } = rule;
  const shown = JSON.stringify(value) ?? String(value);
  const found = shown.length > 60 ? `${shown.slice(0, 57)}...` : shown;
  const expected = description ?? `a value of type ${type}`;
  if (type !== undefined && !hasType(value, type))
    return `it takes ${article(type)}, not ${found}: ${expected}`;
  const isFit =
    typeof value === 'string'
      ? value.length >= minLength && (pattern === undefined || new RegExp(pattern, 'u').test(value))
      : typeof value !== 'number' || (value >= minimum && value <= maximum);
  return isFit ? null : `it takes ${expected}, not ${found}`;
}

const article = (type: string) => (/^[aeio]/.test(type) ? `an ${type}` : `a ${type}`);

function hasType(value: unknown, type: NonNullable<Schema['type']>): boolean {
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'number') return typeof value === 'number' && Number.isFinite(value);
  return typeof value === type;
}
