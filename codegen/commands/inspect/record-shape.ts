/** Checks JSON records from files before their fields are used. */

/**
 * `null` after a type's name allows null; `each` stands for every value of a list or of an object with any
 * keys.
 */
export type Shape =
  | 'string'
  | 'number'
  | 'boolean'
  | 'string|null'
  | 'number|null'
  | 'boolean|null'
  | { readonly each: Shape }
  | { readonly fields: Readonly<Record<string, Shape>> };

/**
 * What is wrong with the value, such as "memory.blobBytes is not number", or null. Unknown fields are
 * allowed.
 */
export function findMisshape(value: unknown, shape: Shape, path = ''): string | null {
  const place = path === '' ? 'the record' : path;
  if (typeof shape === 'string') {
    const kind = value === null ? 'null' : typeof value;
    return shape.split('|').includes(kind) ? null : `${place} is not ${shape.replace('|', ' or ')}`;
  }
  if (typeof value !== 'object' || value === null) return `${place} is not an object`;
  const inside = (name: string) => (path === '' ? name : `${path}.${name}`);
  const checks: [string, Shape][] =
    'each' in shape ? Object.keys(value).map((name) => [name, shape.each]) : Object.entries(shape.fields);
  for (const [name, inner] of checks) {
    const field = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
    const wrong = findMisshape(field, inner, inside(name));
    if (wrong !== null) return wrong;
  }
  return null;
}
