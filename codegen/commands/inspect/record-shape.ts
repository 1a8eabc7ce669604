/** Checks JSON records from files before their fields are used. */

/**
 * `null` after a type's name allows null; `list` stands for every value of a list, `each` for every value of an object with any keys,
 * `optional` for one that may be null or absent.
 */
export type Shape =
  | 'string'
  | 'number'
  | 'boolean'
  | 'string|null'
  | 'number|null'
  | 'boolean|null'
  | { readonly list: Shape }
  | { readonly each: Shape }
  | { readonly optional: Shape }
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
  if ('optional' in shape) return value == null ? null : findMisshape(value, shape.optional, path);
  if ('list' in shape && !Array.isArray(value)) return `${place} is not a list`;
  if (typeof value !== 'object' || value === null) return `${place} is not an object`;
  const inside = (name: string) => (path === '' ? name : `${path}.${name}`);
  for (const [name, inner] of innerShapes(value, shape)) {
    const field = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
    const wrong = findMisshape(field, inner, inside(name));
    if (wrong !== null) return wrong;
  }
  return null;
}

/** The names of the values inside that are checked, with their shapes. */
function innerShapes(value: object, shape: Exclude<Shape, string | { optional: Shape }>): [string, Shape][] {
  if ('fields' in shape) return Object.entries(shape.fields);
  const inner = 'list' in shape ? shape.list : shape.each;
  return Object.keys(value).map((name) => [name, inner]);
}
