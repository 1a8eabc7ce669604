/**
 * Checks a target from a user's file field by field: what comes out has every field of Target, of the right
 * type, and no other.
 */
import { EmbedError } from '../codegen/diagnostics/error.js';
import { nearestName } from '../codegen/diagnostics/nearest-name.js';
import {
  architectures,
  compilerFamilies,
  type Emulator,
  kernelSets,
  type Target,
  type ToolchainCandidate,
  vectorBrackets,
} from './target.js';

/**
 * Says what is wrong with the value, or undefined where nothing is. `path` is the field's name as a reader
 * would write it.
 */
type Check = (value: unknown, path: string) => string | undefined;

/** The value as an error message shows it, on one short line. */
const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
};

const matching =
  (pattern: RegExp, expected: string): Check =>
  (value, path) =>
    typeof value === 'string' && pattern.test(value)
      ? undefined
      : `${path} must be ${expected}, not ${shown(value)}`;

const oneOf =
  (choices: readonly (string | null)[]): Check =>
  (value, path) =>
    choices.includes(value as string | null)
      ? undefined
      : `${path} must be one of ${choices.map((choice) => shown(choice)).join(', ')}, not ${shown(value)}`;

const listOf =
  (item: Check, least: number): Check =>
  (value, path) => {
    if (!Array.isArray(value) || value.length < least) {
      return `${path} must be a list${least > 0 ? ` of at least ${least}` : ''}, not ${shown(value)}`;
    }
    for (const [index, entry] of value.entries()) {
      const wrong = item(entry, `${path}[${index}]`);
      if (wrong !== undefined) {
        return wrong;
      }
    }
    return undefined;
  };

const record =
  (fields: Record<string, Check>): Check =>
  (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return `${path || 'the target'} must be an object, not ${shown(value)}`;
    }
    const prefix = path === '' ? '' : `${path}.`;
    for (const [name, check] of Object.entries(fields)) {
      if (!Object.hasOwn(value, name)) {
        return `${prefix}${name} is missing`;
      }
      const wrong = check((value as Record<string, unknown>)[name], `${prefix}${name}`);
      if (wrong !== undefined) {
        return wrong;
      }
    }
    const stranger = Object.keys(value).find((name) => !Object.hasOwn(fields, name));
    if (stranger === undefined) {
      return undefined;
    }
    const nearest = nearestName(stranger, Object.keys(fields));
    return `there is no field ${prefix}${stranger}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`;
  };

const orNull =
  (check: Check): Check =>
  (value, path) =>
    value === null ? undefined : check(value, path);

const bytes: Check = (value, path) =>
  Number.isSafeInteger(value) && (value as number) >= 0
    ? undefined
    : `${path} must be a number of bytes, not ${shown(value)}`;

const name = matching(/^[a-z0-9][a-z0-9_-]{0,63}$/, "a name of lower case letters, digits, '-' and '_'");
const line = matching(/^[^\r\n\0]{1,400}$/, 'one line of text');
const program = matching(/^[\w.+/-]{1,255}$/, 'the name or path of a program');
const flag = matching(/^-[^\r\n\0]{1,400}$/, "a flag that starts with '-'");
const argument = line;
const packageName = matching(/^[a-z0-9][a-z0-9.+-]*$/, 'the name of a Debian package');

const command: Check = (value, path) =>
  listOf(argument, 1)(value, path) ?? program((value as unknown[])[0], `${path}[0]`);

const toolchainFields = record({
  family: oneOf(compilerFamilies),
  command,
  cpuFlags: listOf(flag, 0),
  tuningFlags: listOf(flag, 0),
  optimization: oneOf(['-O2', '-O3']),
  binutils: orNull(record({ ar: listOf(program, 1), objdump: listOf(program, 1) })),
  packages: listOf(packageName, 0),
} satisfies Record<keyof ToolchainCandidate, Check>);

const toolchain: Check = (value, path) => {
  const wrong = toolchainFields(value, path);
  const { family, binutils } = (value ?? {}) as Partial<ToolchainCandidate>;
  return wrong === undefined && (binutils === null) !== (family === 'zig')
    ? `${path}.binutils must be null for zig and for nothing else`
    : wrong;
};

const emulator = record({
  program,
  args: listOf(argument, 0),
  package: packageName,
} satisfies Record<keyof Emulator, Check>);

const target = record({
  name,
  aliases: listOf(name, 0),
  description: line,
  triple: matching(/^[a-z0-9_]+(?:-[a-z0-9_.]+){1,3}$/, 'a GNU triple such as aarch64-linux-gnu'),
  arch: oneOf(architectures),
  kernelSet: oneOf(kernelSets),
  toolchains: listOf(toolchain, 1),
  hostFeatures: listOf(matching(/^[a-z0-9_.]+$/, 'a CPU feature as /proc/cpuinfo names it'), 0),
  emulator: orNull(emulator),
  cacheBytes: record({ l1d: bytes, l2: bytes, l3: bytes }),
  kernelModeVectors: oneOf([null, ...vectorBrackets]),
} satisfies Record<keyof Target, Check>);

/**
 * The value as a Target. `where` names its origin in the error. Throws EM1205 naming the first field that is
 * wrong, and why.
 */
export function validateTarget(value: unknown, where: string): Target {
  const wrong = target(value, '');
  if (wrong !== undefined) {
    throw new EmbedError('EM1205', { where, why: wrong });
  }
  return value as Target;
}
