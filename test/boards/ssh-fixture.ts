/** What the tests by SSH share: a bundle for this machine, deploying it, and a look at the board's folder. */
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { deployBundle } from '../../deploy/deploy-bundle.js';
import { editManifest, quietContext } from '../codegen/evaluate/tiny-bundle.js';
import { buildOrReason, nativeTarget, quickDeploy, scratchFolder, sessionWith } from './board-bundle.js';
import { type LoopbackSshd, noSshd } from './loopback-sshd.js';

export const program = join(
  dirname(fileURLToPath(import.meta.url)),
  '..',
  '..',
  '..',
  'bin',
  'embed-model.js',
);
export const built =
  noSshd === false ? await buildOrReason(scratchFolder('deploy'), await nativeTarget()) : noSshd;
export const skip = typeof built === 'string' ? built : false;
export const { bundle, manifest } = typeof built === 'string' ? { bundle: '', manifest: null } : built;
export const deploy = (
  board: Parameters<typeof deployBundle>[1],
  session = sessionWith(),
  options = quickDeploy,
) => deployBundle(bundle, board, options, session, quietContext());
export const root = (sshd: LoopbackSshd) => join(sshd.folder, 'board');
export const isLocked = (sshd: LoopbackSshd) => {
  try {
    return readlinkSync(join(root(sshd), 'lock'));
  } catch {
    return null;
  }
};

/** boards.json of the test's folder. */
export function writeBoards(sshd: LoopbackSshd, boards: readonly object[]): void {
  writeFileSync(join(sshd.folder, 'boards.json'), JSON.stringify({ boards }));
}

/** A copy of the bundle, to be changed. */
export function bundleCopy(sshd: LoopbackSshd, name: string): string {
  const copy = join(sshd.folder, name);
  execFileSync('cp', ['-r', bundle, copy]);
  return copy;
}

/** The command line, in the test's folder and with its home. */
export function embedModel(args: readonly string[], sshd: LoopbackSshd, entry?: object) {
  if (entry !== undefined) writeBoards(sshd, [entry]);
  const { NODE_V8_COVERAGE: _, ...environment } = process.env;
  const options = { cwd: sshd.folder, encoding: 'utf8', env: { ...environment, HOME: sshd.folder } } as const;
  return spawnSync(process.execPath, [program, ...args], options);
}

export function isLockedAt(folder: string): boolean {
  try {
    readlinkSync(join(folder, 'lock'));
    return true;
  } catch {
    return false;
  }
}

/** The bundle with a shell script for its program. */
export function hangingBundle(sshd: LoopbackSshd, script: string): string {
  const copy = bundleCopy(sshd, `script-${randomBytes(4).toString('hex')}`);
  const path = join(copy, 'bin', 'em-run');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  const sha256 = execFileSync('sha256sum', [path], { encoding: 'utf8' }).slice(0, 64);
  editManifest(copy, ({ files }) => ({ files: { ...files, 'bin/em-run': sha256 } }));
  return copy;
}

/** Processes that run what hangs. */
export async function sleepers(): Promise<number> {
  await delay(50);
  const isOurs = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1') === 'sleep\x001000\x00';
    } catch {
      return false;
    }
  };
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isOurs(name)).length;
}
