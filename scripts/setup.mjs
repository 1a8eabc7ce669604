// Brings what a command of the README needs: Debian packages, npm packages, the compiled tool. Node built-ins only, since it
// runs before `npm ci`. As root it installs; else it prints the exact command and stops with exit code 3.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Programs and the Debian packages that bring them. */
const demoTools = [
  { program: 'gcc', packages: ['gcc', 'libc6-dev'] },
  { program: 'aarch64-linux-gnu-gcc', packages: ['gcc-aarch64-linux-gnu', 'libc6-dev-arm64-cross'] },
  { program: 'riscv64-linux-gnu-gcc', packages: ['gcc-riscv64-linux-gnu', 'libc6-dev-riscv64-cross'] },
  { program: 'qemu-aarch64', packages: ['qemu-user'] },
  { program: 'qemu-riscv64', packages: ['qemu-user'] },
];
const testTools = [
  ...demoTools,
  { program: 'clang', packages: ['clang', 'libclang-rt-14-dev'] },
  { program: 'llvm-objdump', packages: ['llvm'] },
];

function isInstalled(program) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Runs a command with its output shown; stops this process if it fails. */
export function run(command, args, options = {}) {
  const { status, error, signal } = spawnSync(command, args, { stdio: 'inherit', cwd: root, ...options });
  if (status === 0) return;
  const why = error?.message ?? (signal === null ? `exit code ${status}` : `ended by ${signal}`);
  console.error(`\n${command} ${args.join(' ')}: ${why}`);
  process.exit(3);
}

function installTools(tools) {
  const missing = tools.filter(({ program }) => !isInstalled(program));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.flatMap((tool) => tool.packages))];
  const install = ['install', '-y', '--no-install-recommends', ...packages];
  console.error(`missing: ${missing.map(({ program }) => program).join(', ')}`);
  if (process.platform !== 'linux' || !isInstalled('apt-get')) {
    console.error(
      `This machine has no apt-get. Install what Debian calls ${packages.join(' ')} and run this again.`,
    );
    process.exit(3);
  }
  if (process.getuid?.() !== 0) {
    console.error(
      `Installing needs root. Run this, then the command again:\n\n  sudo apt-get update && sudo apt-get ${install.join(' ')}\n`,
    );
    process.exit(3);
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get', ['update', '-qq'], { env });
  run('apt-get', [...install.slice(0, 1), '-qq', ...install.slice(1)], { env });
}

/** npm itself, run by this Node wherever that is possible: `npm` may be a script that only a shell can start. */
function npm(...args) {
  const cli = process.env.npm_execpath;
  if (cli !== undefined && cli.endsWith('.js')) run(process.execPath, [cli, ...args]);
  else run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args);
}

function installPackages() {
  const stamp = join(root, 'node_modules', '.package-lock.json');
  const lock = join(root, 'package-lock.json');
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= statSync(lock).mtimeMs) return;
  npm('ci', '--no-audit', '--no-fund', '--loglevel=error');
}

/** Everything for `npm run demo`, or with `tests` for `npm test` as well. */
export function setUp({ tests }) {
  if (Number(process.versions.node.split('.')[0]) < 20) {
    console.error(`Node 20 or newer is needed, this is ${process.version}.`);
    process.exit(3);
  }
  installTools(tests ? testTools : demoTools);
  installPackages();
  npm('run', '--silent', 'build');
}
