import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { findNpm } from '../../codegen/compile/find-npm.js';
import { zigPackages } from '../../codegen/compile/zig-cache.js';
import { diagnose, type Finding, formatFindings } from '../../deploy/doctor.js';
import { targets } from '../../targets/index.js';

/** Findings with some variables of the environment changed. */
async function diagnoseWith(variables: Record<string, string>): Promise<Finding[]> {
  const before = { ...process.env };
  Object.assign(process.env, variables);
  try {
    return await diagnose();
  } finally {
    for (const name of Object.keys(variables)) {
      if (before[name] === undefined) {
        delete process.env[name];
      } else {
        process.env[name] = before[name];
      }
    }
  }
}

const about = (findings: readonly Finding[], subject: string): Finding =>
  findings.find((finding) => finding.subject === subject) ?? {
    status: 'fail',
    subject,
    detail: 'not looked at',
    fix: 'look at it',
  };

t.test('this machine', async (t) => {
  const findings = await diagnose();
  t.match(about(findings, 'Node.js'), { status: 'ok', detail: process.version });
  for (const { name, emulator } of targets) {
    for (const subject of [`${name}: gcc`, `${name}: clang`, `${name}: runs on`, emulator!.program]) {
      t.equal(findings.filter((finding) => finding.subject === subject).length, 1, subject);
    }
  }
  for (const { status, subject, detail, fix } of findings) {
    t.ok(detail.length > 0, subject);
    t.equal(fix === undefined, status === 'ok', `${subject}: a fix where one is needed, and only there`);
  }
  t.match(about(findings, 'temporary folder'), { detail: /GB free/ });
  t.same(JSON.parse(JSON.stringify(findings)), findings, 'plain data');
});

t.test('nothing installed', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'em-doctor-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const findings = await diagnoseWith({ PATH: '/nonexistent', XDG_CACHE_HOME: folder });
  t.match(about(findings, 'cortex-a72: gcc'), {
    status: 'warn',
    fix: /apt-get install gcc-aarch64-linux-gnu/,
  });
  t.match(about(findings, 'riscv-u74: clang'), { status: 'warn', fix: /apt-get install clang gcc-riscv64/ });
  t.match(about(findings, 'qemu-riscv64'), { status: 'warn', fix: /apt-get install qemu-user/ });
  const zig = about(findings, 'zig, for all targets');
  const compilers = findings.some(({ subject }) => subject === 'C compilers');
  if (zigPackages() !== undefined && (await findNpm()) !== undefined) {
    t.match(zig, { status: 'ok', detail: /has npm fetch/ });
    t.match(zig.detail, /\d+ MB to download, \d+ MB in .*zig-/);
    t.notOk(compilers, 'something can be built');
  } else {
    t.match(zig, { status: 'warn', fix: /install zig/ });
    t.ok(compilers, 'nothing can be built');
  }
});

t.test('zig', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'em-doctor-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const zig = async (body: string) => {
    await writeFile(join(folder, 'zig'), `#!/bin/sh\n${body}\n`);
    await chmod(join(folder, 'zig'), 0o755);
    return about(await diagnoseWith({ PATH: folder }), 'zig, for all targets');
  };
  t.match(await zig('echo 0.99.0'), { status: 'ok', detail: `0.99.0, ${join(folder, 'zig')}` });
  t.match(await zig('echo "no such instruction" >&2; exit 1'), {
    status: 'warn',
    detail: /no such instruction/,
  });
});

t.test('one compiler of two', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'em-doctor-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const script = async (name: string, body: string) => {
    await writeFile(join(folder, name), `#!/bin/sh\n${body}\n`);
    await chmod(join(folder, name), 0o755);
  };
  await script('aarch64-linux-gnu-gcc', 'echo aarch64-linux-gnu');
  await script('qemu-aarch64', 'echo "broken" >&2; exit 1');
  const withoutTools = await diagnoseWith({ PATH: folder });
  t.match(about(withoutTools, 'cortex-a72: gcc'), { status: 'warn', detail: /-ar/ }, 'no binary tools');
  t.match(about(withoutTools, 'qemu-aarch64'), { status: 'warn', detail: /exit status 1[\s\S]*broken/ });

  for (const tool of ['ar', 'objdump']) {
    await script(`aarch64-linux-gnu-${tool}`, 'echo GNU');
  }
  // Toolchains are looked up once for a PATH.
  const found = await diagnoseWith({ PATH: `${folder}:` });
  t.match(about(found, 'cortex-a72: gcc'), { status: 'ok' });
  t.match(about(found, 'cortex-a72: clang'), { status: 'ok', detail: /not needed/ });
  t.equal(
    found.some(({ subject }) => subject === 'C compilers'),
    false,
    'something can be built',
  );
});

t.test('folders', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'em-doctor-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const future = await diagnoseWith({ XDG_CACHE_HOME: join(folder, 'not/there/yet') });
  t.match(about(future, 'cache folder'), { status: 'ok', detail: /yet.embed-model, .*GB free/ });
  const none = await diagnoseWith({ XDG_CACHE_HOME: '/proc/1/nothing' });
  t.match(about(none, 'cache folder').status, /warn/, 'a folder without room or permission');
});

t.test('as a reader sees it', async (t) => {
  const text = formatFindings([
    { status: 'ok', subject: 'a', detail: 'fine' },
    { status: 'fail', subject: 'longer', detail: 'broken', fix: 'mend it' },
  ]);
  t.equal(text, 'ok    a       fine\nfail  longer  broken\n              fix: mend it\n1 ok, 0 warn, 1 fail');
});
