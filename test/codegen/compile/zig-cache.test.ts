import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { cacheFolder } from '../../../codegen/compile/cache-folder.js';
import { findNpm } from '../../../codegen/compile/find-npm.js';
import { provideToolchain } from '../../../codegen/compile/provide-toolchain.js';
import { runTool } from '../../../codegen/compile/run-tool.js';
import { findToolchain } from '../../../codegen/compile/toolchain.js';
import { cachedZig, fetchZig, zigFolder, zigPackages } from '../../../codegen/compile/zig-cache.js';
import { type PinnedPackage, type ZigRelease, zigRelease } from '../../../codegen/compile/zig-release.js';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { silentProgress } from '../../../codegen/progress.js';
import { findTarget } from '../../../targets/index.js';

const folder = await mkdtemp(join(tmpdir(), 'em zig 板-'));
t.teardown(() => rm(folder, { recursive: true, force: true }));

const npm = await findNpm();
const noNpm = npm === undefined && 'no npm';
const platform = `${process.platform}-${process.arch}`;

async function refusal(action: Promise<unknown>): Promise<EmbedError> {
  const result = await action.catch((error: unknown) => error);
  if (result instanceof EmbedError) {
    return result;
  }
  throw result instanceof Error ? result : new Error('nothing was refused');
}

/** Sets variables of the environment for the rest of a test. */
function withVariables(t: Test, variables: Readonly<Record<string, string>>): void {
  const before = { ...process.env };
  Object.assign(process.env, variables);
  t.teardown(() => {
    for (const name of Object.keys(variables)) {
      delete process.env[name];
      Object.assign(process.env, before[name] === undefined ? {} : { [name]: before[name] });
    }
  });
}

const context = (signal = new AbortController().signal) => ({ progress: silentProgress, signal });

interface Packed {
  readonly pin: PinnedPackage;
  readonly tarball: Buffer;
}

/** A package as npm packs it. */
async function pack(name: string, files: Readonly<Record<string, string>>): Promise<Packed> {
  const place = await mkdtemp(join(folder, 'package-'));
  await writeFile(join(place, 'package.json'), JSON.stringify({ name, version: '9.9.9' }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(place, path, '..'), { recursive: true });
    await writeFile(join(place, path), text, { mode: 0o755 });
  }
  await runTool([process.execPath, npm!, 'pack', '--silent'], { cwd: place });
  const [file] = (await readdir(place)).filter((one) => one.endsWith('.tgz'));
  const tarball = await readFile(join(place, file));
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
  return { pin: { name, integrity, downloadBytes: tarball.length, installedBytes: 1 }, tarball };
}

/** A registry with packages of version 9.9.9. `asked` gets the paths of requests; a true from it holds them back. */
async function registry(
  t: Test,
  packages: readonly Packed[],
  asked: (path: string) => boolean = () => false,
): Promise<string> {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '');
    if (asked(path)) {
      return;
    }
    const packed = packages.find(({ pin }) => path.startsWith(`/${pin.name}`));
    if (packed === undefined) {
      response.writeHead(404).end();
    } else if (path.endsWith('.tgz')) {
      response.end(packed.tarball);
    } else {
      const { name, integrity } = packed.pin;
      const dist = { tarball: `http://${request.headers.host}/${name}/-/package.tgz`, integrity };
      const versions = { '9.9.9': { name, version: '9.9.9', dist } };
      response.end(JSON.stringify({ name, 'dist-tags': { latest: '9.9.9' }, versions }));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const packed =
  npm === undefined
    ? []
    : [
        await pack('@em-test/lib', { 'std/std.zig': '// nothing' }),
        await pack('@em-test/host', {
          [`bin/zig${process.platform === 'win32' ? '.exe' : ''}`]: '#!/bin/sh\necho 9.9.9\n',
        }),
      ];
const release = (change: Partial<PinnedPackage> = {}): ZigRelease => ({
  version: '9.9.9',
  library: packed[0].pin,
  compilers: { [platform]: { ...packed[1].pin, ...change } },
});

/** A cache and an npm of the test's own. */
async function fetching(t: Test, asked?: (path: string) => boolean): Promise<string> {
  const cache = await mkdtemp(join(folder, 'cache '));
  const url = await registry(t, packed, asked);
  const settings = {
    npm_config_registry: url,
    npm_config_cache: join(cache, 'npm'),
    npm_config_fetch_retries: '0',
  };
  // What npm itself sets for the programs it starts, and must not reach the one that is started from here.
  const outer = { npm_config_global: 'true', npm_config_dry_run: 'true', npm_config_workspace: 'nothing' };
  withVariables(t, { XDG_CACHE_HOME: cache, ...settings, ...outer });
  return join(cache, 'embed-model');
}

const names = (path: string) => readdir(path).catch(() => []);

t.test('the cache of the user', async (t) => {
  const linux = { platform: 'linux', home: '/home/me' } as const;
  t.equal(cacheFolder({ ...linux, environment: {} }), '/home/me/.cache/embed-model');
  t.equal(cacheFolder({ ...linux, environment: { XDG_CACHE_HOME: '/big/cache' } }), '/big/cache/embed-model');
  t.equal(cacheFolder({ ...linux, environment: { XDG_CACHE_HOME: 'here' } }), '/home/me/.cache/embed-model');
  const mac = { platform: 'darwin', home: '/Users/me', environment: {} } as const;
  t.equal(cacheFolder(mac), '/Users/me/Library/Caches/embed-model');
  const windows = { platform: 'win32', home: 'C:\\Users\\me' } as const;
  t.equal(cacheFolder({ ...windows, environment: {} }), 'C:\\Users\\me\\AppData\\Local\\embed-model');
  t.equal(cacheFolder({ ...windows, environment: { LOCALAPPDATA: 'D:\\Local' } }), 'D:\\Local\\embed-model');
});

t.test('the npm that belongs to this Node', async (t) => {
  const place = await mkdtemp(join(folder, 'node '));
  const file = async (...path: string[]) => {
    const at = join(place, ...path);
    await mkdir(join(at, '..'), { recursive: true });
    await writeFile(at, '', { mode: 0o755 });
    return at;
  };
  const node = join(place, 'bin', 'node');
  const find = (path: string, environment = {}) => findNpm(path, environment);
  withVariables(t, { PATH: join(place, 'in path') });
  t.equal(await find(node), undefined);
  const target = await file('elsewhere', 'npm-cli.js');
  await mkdir(join(place, 'in path'));
  await symlink(target, join(place, 'in path', 'npm'));
  t.match(await find(node), /elsewhere.npm-cli\.js$/, 'what the name in PATH leads to');
  const windows = await file('win', 'node_modules', 'npm', 'bin', 'npm-cli.js');
  t.equal(await find(join(place, 'win', 'node.exe')), windows);
  const unix = await file('lib', 'node_modules', 'npm', 'bin', 'npm-cli.js');
  t.equal(await find(node), unix);
  const own = await file('own', 'npm-cli.js');
  t.equal(await find(node, { npm_execpath: own }), own, 'the one that started us');
  t.equal(await find(node, { npm_execpath: join(place, 'own', 'npx-cli.js') }), own, 'or npx of it');
  t.equal(await find(node, { npm_execpath: join(place, 'own', 'yarn.js') }), unix, 'but no other manager');
});

t.test('fetching', { skip: noNpm }, async (t) => {
  t.test('once, into the cache', async (t) => {
    const requests: string[] = [];
    const cache = await fetching(t, (path) => {
      requests.push(path);
      return false;
    });
    t.equal(await cachedZig(release()), undefined);
    const zig = await fetchZig(context(), release());
    t.equal(zig, await cachedZig(release()));
    t.equal((await runTool([zig, 'version'])).stdout, '9.9.9\n');
    t.ok(requests.some((path) => path.includes('@em-test/host')));
    t.same(await names(cache), [`zig-9.9.9-${platform}`], 'nothing else is left');
    t.ok(zig.startsWith(zigFolder(release())));
  });

  t.test('by two builds at once', async (t) => {
    const cache = await fetching(t);
    const [one, other] = await Promise.all([fetchZig(context(), release()), fetchZig(context(), release())]);
    t.equal(one, other);
    t.same(await names(cache), [`zig-9.9.9-${platform}`]);
  });

  t.test('a package with another hash than the pinned one', async (t) => {
    const cache = await fetching(t);
    const integrity = `sha512-${createHash('sha512').update('else').digest('base64')}`;
    const error = await refusal(fetchZig(context(), release({ integrity })));
    t.equal(error.code, 'EM3010');
    t.match(error.why, /EINTEGRITY/);
    t.same(await names(cache), [], 'nothing is left');
  });

  t.test('a registry without the package', async (t) => {
    const cache = await fetching(t);
    const error = await refusal(fetchZig(context(), release({ name: '@em-test/absent' })));
    t.equal(error.code, 'EM3010');
    t.match(error.why, /404/);
    t.same(await names(cache), []);
  });

  t.test('a registry that cannot be reached', async (t) => {
    const cache = await fetching(t);
    withVariables(t, { npm_config_registry: 'http://127.0.0.1:1/' });
    const error = await refusal(fetchZig(context(), release()));
    t.equal(error.code, 'EM3010');
    t.match(error.why, /ECONNREFUSED/);
    t.match(error.fix, /network/);
    t.same(await names(cache), []);
  });

  t.test('a package without a program', async (t) => {
    await fetching(t);
    const error = await refusal(
      fetchZig(context(), { ...release(), compilers: { [platform]: packed[0].pin } }),
    );
    t.match([error.code, error.why], ['EM3010', /holds no program/]);
  });

  t.test('interrupted', async (t) => {
    const controller = new AbortController();
    const cache = await fetching(t, (path) => {
      const holdBack = path.endsWith('.tgz');
      if (holdBack) {
        controller.abort();
      }
      return holdBack;
    });
    const error = await refusal(fetchZig(context(controller.signal), release()));
    t.equal(error.code, 'EM3007');
    t.same(await names(cache), []);
  });

  t.test('after a process that was killed', async (t) => {
    const cache = await fetching(t);
    const left = ['zig-9.9.9-x.partial-one', 'zig-9.9.9-x.partial-two'].map((name) => join(cache, name));
    for (const path of left) {
      await mkdir(join(path, 'node_modules'), { recursive: true });
    }
    await utimes(left[0], new Date(0), new Date(0));
    await fetchZig(context(), release());
    t.same(
      (await names(cache)).sort(),
      [`zig-9.9.9-${platform}`, 'zig-9.9.9-x.partial-two'].sort(),
      'the old remains go; what may be at work stays',
    );
  });

  t.test('over what no longer works', async (t) => {
    const cache = await fetching(t);
    const zig = await fetchZig(context(), release());
    await rm(zig);
    t.equal(await cachedZig(release()), undefined);
    t.equal(await fetchZig(context(), release()), zig);
    t.same(await names(cache), [`zig-9.9.9-${platform}`]);
  });

  t.test('for a host nobody has pinned', async (t) => {
    const error = await refusal(fetchZig(context(), { ...release(), compilers: {} }));
    t.match([error.code, error.why], ['EM3010', `no package for ${platform}`]);
  });
});

t.test('what a build asks for', { skip: noNpm || (zigPackages() === undefined && 'no pin') }, async (t) => {
  const target = await findTarget('riscv-u74');
  withVariables(t, {
    PATH: join(folder, 'nothing'),
    XDG_CACHE_HOME: join(folder, 'empty'),
    npm_config_registry: 'http://127.0.0.1:1/',
    npm_config_cache: join(folder, 'npm'),
    npm_config_fetch_retries: '0',
  });
  const refused = await refusal(provideToolchain(target, { prefer: null, fetch: false }, context()));
  t.equal(refused.code, 'EM3009');
  t.match(refused.why, `zig ${zigRelease.version}`);
  t.match(refused.fix, /apt-get install gcc-riscv64.*zig in PATH.*without --no-fetch/);

  const said: string[] = [];
  const progress = { ...silentProgress, warn: (message: string) => said.push(message) };
  const failed = await refusal(
    provideToolchain(target, { prefer: null, fetch: true }, { ...context(), progress }),
  );
  t.equal(failed.code, 'EM3010', 'it tries');
  t.match(said, [/\d+ MB to download, \d+ MB in .*--no-fetch refuses/], 'and says so before');

  const other = await refusal(provideToolchain(target, { prefer: 'gcc', fetch: true }, context()));
  t.equal(other.code, 'EM3001', 'not in place of the compiler that was asked for');
});

t.test('the pinned release', async (t) => {
  const { version, library, compilers } = zigRelease;
  t.match(version, /^\d+\.\d+\.\d+$/);
  for (const { name, integrity, downloadBytes, installedBytes } of [library, ...Object.values(compilers)]) {
    t.match(name, /^@zigc\//);
    t.equal(Buffer.from(integrity.replace(/^sha512-/, ''), 'base64').length, 64, integrity);
    t.ok(downloadBytes > 1e7 && installedBytes > downloadBytes);
  }
});

t.test('a cache that cannot be written', { skip: noNpm }, async (t) => {
  const blocked = join(folder, 'blocked');
  await writeFile(blocked, 'a file where the folder should be');
  withVariables(t, { XDG_CACHE_HOME: blocked });
  t.match(await refusal(fetchZig(context(), release())), { code: 'EM3010', why: /ENOTDIR|EEXIST/ });
});

t.test('a zig that is here', async (t) => {
  const target = await findTarget('riscv-u74');
  const found = await findToolchain(target, { prefer: 'zig' }).catch(() => undefined);
  t.test(
    'serves a build',
    { skip: found === undefined && 'zig is neither in PATH nor in the cache' },
    async (t) => {
      const toolchain = await provideToolchain(target, { prefer: 'zig', fetch: false }, context());
      t.equal(toolchain, found);
      t.match(toolchain.version, /^zig \d/);
      const byPath = await findToolchain(target, { prefer: toolchain.command[0] });
      t.same([byPath.family, byPath.command], ['zig', toolchain.command]);
    },
  );
});
