/** Python with transformers and compressed-tensors in a virtual environment, from PyPI. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../../codegen/compile/cache-folder.js';

/**
 * Its interpreter, or why there is none. Kept in the cache folder; with EMBED_TEST_FULL=1 it is fetched where it is not there yet:
 * with PyTorch it takes 5 GB.
 */
export function transformersPython(): { python: string } | string {
  const folder = join(cacheFolder(), 'test-transformers');
  const python = join(folder, 'bin', 'python');
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return { python };
  if (process.env.EMBED_TEST_FULL !== '1')
    return 'no environment with transformers; EMBED_TEST_FULL=1 fetches one of 5 GB';
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(cacheFolder(), { recursive: true });
  const made = spawnSync('python3', ['-m', 'venv', folder], { encoding: 'utf8' });
  if (made.status !== 0) return 'python3 cannot make a virtual environment';
  const packages = ['transformers', 'compressed-tensors', 'safetensors', 'torch'];
  const got = spawnSync(python, ['-m', 'pip', 'install', '--quiet', '--no-cache-dir', ...packages], {
    encoding: 'utf8',
    timeout: 1_800_000,
  });
  if (got.status === 0) {
    writeFileSync(complete, '');
    return { python };
  }
  rmSync(folder, { recursive: true, force: true });
  const said = got.stderr?.trim().split('\n').at(-1)?.slice(0, 200);
  return `transformers cannot be had from PyPI: ${said ?? 'pip failed'}`;
}
