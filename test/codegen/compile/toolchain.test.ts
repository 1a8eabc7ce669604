import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { findProgram } from '../../../codegen/compile/find-program.js';
import { runTool } from '../../../codegen/compile/run-tool.js';
import { findToolchain } from '../../../codegen/compile/toolchain.js';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { findTarget, targets } from '../../../targets/index.js';
import { installedToolchains } from './installed.js';

const folder = await mkdtemp(join(tmpdir(), 'em-toolchain-'));
t.teardown(() => rm(folder, { recursive: true }));

/** An executable shell script below the test's folder. */
async function script(name: string, body: string): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

async function refusal(action: Promise<unknown>): Promise<EmbedError> {
  const result = await action.catch((error: unknown) => error);
  if (result instanceof EmbedError) {
    return result;
  }
  throw result instanceof Error ? result : new Error('nothing was refused');
}

/** A compiler that says what it is asked and makes nothing. */
const compilerFor = (triple: string) =>
  `case "$*" in *-dumpmachine*) echo ${triple};; *) echo "fake gcc 1.0";; esac`;

/** With another PATH, and nothing that was fetched earlier. */
async function withPath<T>(path: string, action: () => Promise<T>): Promise<T> {
  const { PATH = '', XDG_CACHE_HOME } = process.env;
  Object.assign(process.env, { PATH: path, XDG_CACHE_HOME: folder });
  try {
    return await action();
  } finally {
    process.env.PATH = PATH;
    delete process.env.XDG_CACHE_HOME;
    Object.assign(process.env, XDG_CACHE_HOME === undefined ? {} : { XDG_CACHE_HOME });
  }
}

t.test('finding programs', async (t) => {
  const tool = await script('bin/tool', 'exit 0');
  await writeFile(join(folder, 'bin/plain'), '');
  await mkdir(join(folder, 'bin/folder'));
  const path = ['', '/nonexistent', join(folder, 'bin')].join(delimiter);
  await withPath(path, async () => {
    t.equal(await findProgram('tool'), tool);
    t.equal(await findProgram('plain'), undefined, 'not executable');
    t.equal(await findProgram('folder'), undefined, 'no file');
    t.equal(await findProgram('absent'), undefined);
    t.equal(await findProgram(tool), tool, 'by path');
    const strange = await script('Programme für 板/a tool', 'exit 0');
    t.equal(await findProgram(strange), strange, 'in a folder with spaces and letters beyond ASCII');
  });
  await withPath('', async () =>
    t.equal(await findProgram('package.json'), undefined, 'not in the current folder'),
  );
});

t.test('the toolchains of this machine', async (t) => {
  for (const { title, target, family, toolchain, skip } of await installedToolchains()) {
    t.test(title, { skip }, async (t) => {
      t.equal(toolchain!.family, family);
      t.match(toolchain!.version, /\d+\.\d+/);
      t.equal(toolchain!.objdump === null, family === 'zig', 'zig brings no disassembler');
      for (const path of [toolchain!.command[0], toolchain!.ar[0], toolchain!.objdump ?? '/']) {
        t.ok(isAbsolute(path), path);
      }
      t.equal(await findToolchain(target, { prefer: family }), toolchain, 'asked once');
      const byPath = await findToolchain(target, { prefer: toolchain!.command[0] });
      t.equal(byPath.family, family);
      t.same(byPath.candidate.cpuFlags, toolchain!.candidate.cpuFlags);
      t.equal(byPath.objdump, toolchain!.objdump);
    });
  }
});

t.test('what can be wrong with a toolchain', async (t) => {
  const a72 = await findTarget('cortex-a72');
  const x86 = await findTarget('x86_64-avx2');
  t.test('nothing installed', async (t) => {
    for (const target of targets) {
      const error = await withPath('/nonexistent', () => refusal(findToolchain(target)));
      t.equal(error.code, 'EM3001');
      t.match(error.fix, `apt-get install ${target.toolchains[0].packages.join(' ')}`);
      t.match(error.why, /, zig in PATH/);
    }
    const error = await withPath('/nonexistent', () => refusal(findToolchain(a72, { prefer: 'clang' })));
    t.match(error.fix, /apt-get install clang gcc-aarch64/);
  });
  t.test('a gcc for another machine', async (t) => {
    await script('other/gcc', compilerFor('sparc64-linux-gnu'));
    const error = await withPath(join(folder, 'other'), () => refusal(findToolchain(x86)));
    t.equal(error.code, 'EM3001');
    const byPath = await refusal(findToolchain(x86, { prefer: join(folder, 'other/gcc') }));
    t.equal(byPath.code, 'EM3005');
    t.match(byPath.why, /x86_64 \(fake gcc 1\.0\)/);
  });
  t.test('binary tools missing', async (t) => {
    await script('bare/aarch64-linux-gnu-gcc', compilerFor('aarch64-linux-gnu'));
    const error = await withPath(join(folder, 'bare'), () => refusal(findToolchain(a72)));
    t.equal(error.code, 'EM3004');
    t.match(error.why, /aarch64-linux-gnu-gcc is there, but none of aarch64-linux-gnu-ar/);
    t.match(error.fix, /apt-get install gcc-aarch64-linux-gnu/);
  });
  t.test('binary tools beside a compiler given by path', async (t) => {
    const compiler = await script(
      'sdk/bin/aarch64-none-linux-gnu-gcc',
      compilerFor('aarch64-none-linux-gnu'),
    );
    for (const tool of ['ar', 'objdump', 'size']) {
      await script(`sdk/bin/aarch64-none-linux-gnu-${tool}`, 'echo GNU tool 1.0');
    }
    const found = await findToolchain(a72, { prefer: compiler });
    t.equal(found.objdump, join(folder, 'sdk/bin/aarch64-none-linux-gnu-objdump'));
    t.same(found.ar, [join(folder, 'sdk/bin/aarch64-none-linux-gnu-ar')]);
    t.equal(found.family, 'gcc');
  });
  t.test('a compiler without a C library for the target', async (t) => {
    const triple = 'aarch64-linux-gnu';
    const absent = 'echo "probe.c:1:10: fatal error: pthread.h: No such file or directory" >&2; exit 1';
    await script(
      `bare libc/${triple}-gcc`,
      `case "$*" in *-dumpmachine*) echo ${triple};; *probe.c*) ${absent};; *) echo gcc 1.0;; esac`,
    );
    for (const tool of ['ar', 'objdump']) {
      await script(`bare libc/${triple}-${tool}`, 'echo GNU tool 1.0');
    }
    const path = join(folder, 'bare libc');
    const error = await withPath(path, () => refusal(findToolchain(a72)));
    t.equal(error.code, 'EM3008');
    t.equal(error.why, 'probe.c:1:10: fatal error: pthread.h: No such file or directory');
    t.match(error.fix, /libc6-dev-arm64-cross/);

    await script('bare libc/clang', compilerFor(triple));
    const { family } = await withPath(path, () => findToolchain(a72));
    t.equal(family, 'clang', 'the next candidate is taken');
  });
  t.test('a preference that is nothing', async (t) => {
    t.equal((await refusal(findToolchain(a72, { prefer: 'icc' }))).code, 'EM1202');
    t.equal((await refusal(findToolchain(a72, { prefer: './absent/gcc' }))).code, 'EM3005');
  });
});

t.test('running a tool', async (t) => {
  t.test('arguments arrive as they are', async (t) => {
    const echo = await script('echo', 'for word in "$@"; do printf "%s|" "$word"; done');
    const words = ['a b', '$HOME', "it's", '"', '*', '', '\\', 'x;y', '`id`', '\n'];
    const { stdout } = await runTool([echo, ...words]);
    t.equal(stdout, words.map((word) => `${word}|`).join(''));
  });
  t.test('settings of the user do not arrive', async (t) => {
    const show = await script('show', 'env');
    process.env.CPATH = '/nowhere';
    t.teardown(() => {
      delete process.env.CPATH;
    });
    const { stdout, stderr } = await runTool([show]);
    t.notMatch(stdout, /CPATH/);
    t.match(stdout, /^LC_ALL=C$/m);
    t.equal(stderr, '', 'no shell start-up file has spoken');
  });
  t.test('a failure shows the command and what it said', async (t) => {
    const fail = await script(
      'fail',
      'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do echo "line $i" >&2; done; exit 3',
    );
    const error = await refusal(runTool([fail, 'a b']));
    t.equal(error.code, 'EM3002');
    t.equal(error.where, `${fail} 'a b'`);
    t.match(error.why, /exit status 3[\s\S]*line 1[\s\S]*line 12[\s\S]*2 more lines/);
  });
  t.test('a tool that a signal stops', async (t) => {
    const error = await refusal(runTool([await script('crash', 'kill -SEGV $$')]));
    t.equal(error.code, 'EM3002');
    t.match(error.why, /SIGSEGV|139/);
  });
  t.test('a tool that is not there', async (t) => {
    t.equal((await refusal(runTool([join(folder, 'absent')]))).code, 'EM3002');
  });

  const slow = `echo $$ > "$1"; /bin/sleep 30 & echo $! >> "$1"; wait`;
  /**
   * Processes the script noted that still run. One that nobody has waited for yet is a zombie (Z), and does
   * not.
   */
  const survivors = async (note: string): Promise<string[]> => {
    await delay(100);
    const running: string[] = [];
    for (const pid of (await readFile(note, 'utf8')).trim().split('\n')) {
      const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
      if (!/\) [ZX]/.test(status)) {
        running.push(pid);
      }
    }
    return running;
  };
  t.test('a tool that takes too long ends with all it started', async (t) => {
    const note = join(folder, 'slow.pids');
    const error = await refusal(runTool([await script('slow', slow), note], { timeoutMs: 500 }));
    t.equal(error.code, 'EM3003');
    t.match(error.why, /0\.5 s/);
    t.same(await survivors(note), []);
  });
  t.test('so does one that is interrupted, and without ps', async (t) => {
    const note = join(folder, 'abort.pids');
    await symlink('/bin/sh', join(folder, 'bin/sh'));
    const controller = new AbortController();
    const tool = await script('slow2', slow);
    const running = withPath(join(folder, 'bin'), () =>
      refusal(runTool([tool, note], { signal: controller.signal })),
    );
    await delay(400);
    controller.abort();
    t.equal((await running).code, 'EM3007');
    t.same(await survivors(note), []);
    t.equal(
      (await refusal(runTool([tool, note], { signal: controller.signal }))).code,
      'EM3007',
      'not even started',
    );
  });
});
