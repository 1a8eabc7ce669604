// `npm run bench`: tokens per second, instructions per token and memory, as tables and a drawing. `npm run bench -- --help`.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import {
  buildTool,
  crossCompilers,
  emulators,
  hostCompiler,
  installTools,
  requireTools,
  root,
} from './setup.mjs';

const args = process.argv.slice(2);
/** Instructions of every target are counted under its emulator, this machine's own included. */
const tools = [...hostCompiler, ...crossCompilers, ...emulators];
if (!args.includes('--help')) {
  requireTools(tools);
  await installTools(tools);
}
buildTool();
const { status } = spawnSync(process.execPath, [join(root, 'dist', 'test', 'bench', 'main.js'), ...args], {
  stdio: 'inherit',
});
process.exitCode = status ?? 3;
