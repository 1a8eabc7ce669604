import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';

/** What the file of a program may be called. Windows starts scripts (.cmd, .bat) through a shell only. */
const fileNames = (name: string): string[] =>
  process.platform === 'win32' && !/\.exe$/i.test(name) ? [`${name}.exe`] : [name];

/**
 * Absolute path of the program a shell would start under that name, found without a shell: a name with a
 * separator is a path, any other is looked for in PATH. undefined where there is no such executable file.
 */
export async function findProgram(name: string): Promise<string | undefined> {
  const names = fileNames(name);
  if (/[/\\]/.test(name)) {
    return firstExecutable(names.map((one) => resolve(one)));
  }
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    // An empty entry means the current directory to a shell; a build must not depend on where it is started.
    const found =
      directory === '' ? undefined : await firstExecutable(names.map((one) => join(directory, one)));
    if (found !== undefined) {
      return found;
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

async function firstExecutable(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    if (await isExecutable(path)) {
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
