// `npm run bench:llama`: speed next to that of llama.cpp's llama-bench. `npm run bench:llama -- --help`.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildTool, hostCompiler, installTools, root } from './setup.mjs';

const args = process.argv.slice(2);
if (!args.includes('--help')) await installTools(hostCompiler);
buildTool();
const main = join(root, 'dist', 'test', 'bench', 'llama', 'main.js');
const { status } = spawnSync(process.execPath, [main, ...args], { stdio: 'inherit' });
process.exitCode = status ?? 3;
