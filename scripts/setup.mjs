// Brings what a command of the README needs: Debian packages, npm packages, the compiled tool. Node built-ins only, since it
// runs before `npm ci`. As root it installs; else it prints the exact command and stops with exit code 3.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

if (Number(process.versions.node.split('.')[0]) < 20) {
  stop(`Node 20 or newer is needed, this is ${process.version}.`);
}

/** The machines of the targets, as Node, GNU and Debian call them. */
const machines = [
  { arch: 'x64', gnu: 'x86_64', debian: 'amd64' },
  { arch: 'arm64', gnu: 'aarch64', debian: 'arm64' },
  { arch: 'riscv64', gnu: 'riscv64', debian: 'riscv64' },
];

/**
 * Programs, by name or path, and the Debian packages that bring them. `file` is one that a compiler must find, since compilers come
 * without the C library of their target or the run-time library of the sanitizers.
 */
const tool = (program, packages, file) => ({ program, packages, file });
const isHost = ({ arch }) => arch === process.arch;
const others = machines.filter((machine) => !isHost(machine));

export const hostCompiler = [tool('gcc', ['gcc', 'libc6-dev'], 'libc.a')];
export const crossCompilers = others.map(({ gnu, debian }) =>
  tool(
    `${gnu}-linux-gnu-gcc`,
    [`gcc-${gnu.replace('_', '-')}-linux-gnu`, `libc6-dev-${debian}-cross`],
    'libc.a',
  ),
);
export const emulators = others.map(({ gnu }) => tool(`qemu-${gnu}`, ['qemu-user']));
export const testTools = [
  tool('clang', ['clang', 'libclang-rt-dev'], `libclang_rt.asan-${machines.find(isHost)?.gnu}.a`),
  tool('llvm-objdump', ['llvm']),
];

/** For the tests with boards: virtual ones, their images and firmware, a server for SSH, the other end of a serial line. */
export const boardTools = [
  tool('qemu-system-x86_64', ['qemu-system-x86']),
  tool('qemu-system-aarch64', ['qemu-system-arm']),
  tool('qemu-system-riscv64', ['qemu-system-misc']),
  tool('sshd', ['openssh-server']),
  tool('socat', ['socat']),
  tool('busybox', ['busybox']),
  tool('cpio', ['cpio']),
  tool('kmod', ['kmod']),
  tool('xz', ['xz-utils']),
  tool('xmllint', ['libxml2-utils']),
  tool('rb', ['lrzsz']),
  tool('/usr/lib/u-boot/qemu_arm64/u-boot.bin', ['u-boot-qemu']),
];

function isInstalled({ program, file }) {
  if (isAbsolute(program)) return existsSync(program);
  const isInPath = (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (!isInPath || file === undefined) return isInPath;
  const { stdout } = spawnSync(program, [`-print-file-name=${file}`], { encoding: 'utf8' });
  const path = stdout?.trim() ?? ''; // the bare name if there is no such file
  return isAbsolute(path) && existsSync(path);
}

/** Ends this process: what is around it is not fit, and `message` says why. */
function stop(message) {
  console.error(`\n${message}`);
  process.exit(3);
}

/** Runs a command with its output shown; stops this process if it fails. */
function run(command, args, options = {}) {
  const { status, error, signal } = spawnSync(command, args, { stdio: 'inherit', cwd: root, ...options });
  if (status === 0) return;
  const why = error?.message ?? (signal === null ? `exit code ${status}` : `ended by ${signal}`);
  stop(`${command} ${args.join(' ')}: ${why}`);
}

/**
 * Runs apt-get with its output held back until it fails. On a terminal it shows how far apt-get is, from the status lines that
 * apt writes on request: "pmstatus:gcc-12:41.3:Unpacking gcc-12", of which the third field is the percentage.
 */
async function apt(args) {
  // A fresh machine may be installing updates by itself: it is waited for, five minutes at most.
  const settings = ['APT::Status-Fd=3', 'Dpkg::Use-Pty=0', 'DPkg::Lock::Timeout=300'];
  const options = ['-qq', ...settings.flatMap((setting) => ['-o', setting])];
  const child = spawn('apt-get', [...options, ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const said = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => said.push(line));
  }
  const steps = { dlstatus: 'downloading', pmstatus: 'installing' };
  createInterface({ input: child.stdio[3] }).on('line', (line) => {
    const [step, , percent] = line.split(':');
    if (process.stderr.isTTY && steps[step] !== undefined) {
      process.stderr.write(`\r\x1b[KDebian packages: ${steps[step]} ${Math.floor(Number(percent))} %`);
    }
  });
  const failure = await new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => resolve(code === 0 ? undefined : `ended with ${code ?? signal}`));
  });
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  if (failure !== undefined) stop([...said.slice(-20), `apt-get ${args.join(' ')}: ${failure}`].join('\n'));
}

const missingOf = (tools) => tools.filter((one) => !isInstalled(one));

/** Whether this process may install Debian packages. */
export const canInstall = () => process.getuid?.() === 0 && isInstalled(tool('apt-get'));

function installCommand(missing) {
  const packages = [...new Set(missing.flatMap(({ packages }) => packages))];
  return ['install', '-y', '--no-install-recommends', ...packages];
}

/** Stops unless all of the tools are there or can be installed; `otherwise` is one more way out. */
export function requireTools(tools, otherwise = '') {
  const missing = missingOf(tools);
  if (missing.length === 0 || canInstall()) return;
  const names = missing.map(({ program }) => program).join(', ');
  const command = installCommand(missing).join(' ');
  const how = isInstalled(tool('apt-get'))
    ? `Installing needs root. Run this, then the same again:\n\n  sudo apt-get update && sudo apt-get ${command}`
    : `This machine has no apt-get. Where there is one, this brings them:\n\n  apt-get ${command}`;
  stop(`missing: ${names}\n${how}\n${otherwise}`);
}

let isUpdated = false;

/** Installs those of the tools that are missing. */
export async function installTools(tools) {
  requireTools(tools);
  const missing = missingOf(tools);
  if (missing.length === 0) return;
  const install = installCommand(missing);
  console.error(`\napt-get ${install.join(' ')}`);
  if (!isUpdated) await apt(['update']);
  isUpdated = true;
  await apt(install);
}

/** npm itself, run by this Node wherever that is possible: `npm` may be a script that only a shell can start. */
function npm(...args) {
  const cli = process.env.npm_execpath;
  if (cli?.endsWith('.js')) run(process.execPath, [cli, ...args]);
  else run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args);
}

/** The npm packages and the compiled tool. */
export function buildTool() {
  const stamp = join(root, 'node_modules', '.package-lock.json');
  const lock = join(root, 'package-lock.json');
  if (!existsSync(stamp) || statSync(stamp).mtimeMs < statSync(lock).mtimeMs) {
    console.error('\nnpm ci');
    // No package needs its install script: the one that has one (a grammar for tests) is used as WebAssembly.
    npm('ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error');
  }
  console.error('\nnpm run build');
  npm('run', '--silent', 'build');
}
