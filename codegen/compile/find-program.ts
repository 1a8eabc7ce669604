import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';

/**
 * Absolute path of the program a shell would start under that name, found without a shell: a name with a
 * separator is a path, any other is looked for in PATH. undefined where there is no such executable file.
 */
export async function findProgram(name: string): Promise<string | undefined> {
  if (/[/\\]/.test(name)) {
    return (await isExecutable(resolve(name))) ? resolve(name) : undefined;
  }
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    // An empty entry means the current directory to a shell; a build must not depend on where it is started.
    if (directory !== '' && (await isExecutable(join(directory, name)))) {
      return join(directory, name);
    }
  }
  return undefined;
}

/** The first of several names that exists. */
export async function findFirstProgram(names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    const path = await findProgram(name);
    if (path !== undefined) {
      return path;
    }
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
