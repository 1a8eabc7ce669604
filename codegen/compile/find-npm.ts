import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { findProgram } from './find-program.js';

/**
 * Path of npm-cli.js, to be run by this Node: the npm that started this process, the one installed with this
 * Node, or the one in PATH, in that order. undefined where there is none. `npm` itself is a script for a shell
 * on Windows, which is not started from here.
 */
export async function findNpm(
  nodePath: string = process.execPath,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<string | undefined> {
  const bin = dirname(nodePath);
  const { npm_execpath: started = '' } = environment;
  const inPath = await findProgram('npm');
  const places = [
    // npx says npx-cli.js; other package managers name themselves.
    /^np[mx]-cli\.js$/.test(basename(started)) ? join(dirname(started), 'npm-cli.js') : '',
    join(bin, '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js'),
    join(bin, 'node_modules', 'npm', 'bin', 'npm-cli.js'),
    join(bin, '..', 'libexec', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js'),
    join(bin, '..', 'share', 'nodejs', 'npm', 'bin', 'npm-cli.js'),
    inPath === undefined ? '' : await realpath(inPath).catch(() => ''),
  ];
  for (const place of places) {
    if (basename(place) === 'npm-cli.js' && (await isFile(place))) {
      return place;
    }
  }
  return undefined;
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (status) => status.isFile(),
    () => false,
  );
