/** Who is let in, and whom we believe: keys, passwords, agents, host keys, aliases and jump hosts, against a real sshd. */
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { SshSettings } from '../../deploy/boards/board.js';
import { selectBoard } from '../../deploy/boards/select-board.js';
import { fingerprint } from '../../deploy/ssh/known-hosts.js';
import { SshLink } from '../../deploy/ssh/ssh-link.js';
import { expectRejection } from './expect-rejection.js';
import { freePort, makeKey, noSshd, startSshd } from './loopback-sshd.js';

t.setTimeout(300_000);

const connect = { timeoutMs: 20_000, acceptNew: false };

async function says(settings: SshSettings, options = connect): Promise<string> {
  const link = await SshLink.open(settings, options);
  try {
    return (await link.run('echo "hello $0"', { timeoutMs: 10_000 })).stdout;
  } finally {
    await link.close();
  }
}

t.test('logging in', { skip: noSshd }, async (t) => {
  const sshd = await startSshd(t);

  t.test('with a key file', async (t) => {
    t.equal(await says(sshd.settings()), 'hello sh\n');
  });

  t.test('a key that the board does not know', async (t) => {
    makeKey(join(sshd.folder, 'stranger'));
    const settings = sshd.settings({ identity: join(sshd.folder, 'stranger') });
    await expectRejection(t, 'EM4011', /tried: publickey/, says(settings));
  });

  t.test('a key with a passphrase, and a file that is no key', async (t) => {
    makeKey(join(sshd.folder, 'locked'), 'ed25519', 'secret');
    await expectRejection(
      t,
      'EM4015',
      /passphrase/,
      says(sshd.settings({ identity: join(sshd.folder, 'locked') })),
    );
    writeFileSync(join(sshd.folder, 'nonsense'), 'no key\n');
    await expectRejection(
      t,
      'EM4015',
      /nonsense/,
      says(sshd.settings({ identity: join(sshd.folder, 'nonsense') })),
    );
    await expectRejection(
      t,
      'EM4015',
      /ENOENT/,
      says(sshd.settings({ identity: join(sshd.folder, 'absent') })),
    );
  });

  t.test('with a key of the agent', async (t) => {
    const socket = join(sshd.folder, 'agent');
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
    t.teardown(() => agent.kill());
    for (let tries = 0; tries < 50; tries++) {
      try {
        execFileSync('ssh-add', [sshd.key], {
          env: { ...process.env, SSH_AUTH_SOCK: socket },
          stdio: 'ignore',
        });
        break;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    const config = join(sshd.folder, 'agent-config');
    writeFileSync(config, `Host *\n  IdentityAgent ${socket}\n`);
    const { identity: _, ...settings } = sshd.settings({ config });
    t.equal(await says(settings), 'hello sh\n');
  });

  t.test('a password variable that is not set', async (t) => {
    const settings = sshd.settings({ passwordEnv: 'EM_TEST_NO_SUCH_PASSWORD' });
    await expectRejection(t, 'EM4015', /EM_TEST_NO_SUCH_PASSWORD/, says(settings));
  });

  t.test('through ssh_config: Host alias, HostName, Port, User, IdentityFile, known hosts', async (t) => {
    const config = join(sshd.folder, 'config');
    const more = join(sshd.folder, 'more');
    writeFileSync(
      more,
      `Host bench-*\n  IdentityFile "${sshd.key}"\n  UserKnownHostsFile ${sshd.knownHosts}\n`,
    );
    writeFileSync(
      config,
      [
        'Host bench-pi !bench-other',
        '  HostName=127.0.0.1',
        `  Port ${sshd.port}`,
        `  User ${sshd.user}`,
        `Include ${more}`,
        'Host *',
        '  User nobody',
        '  Port 1',
        '',
      ].join('\n'),
    );
    t.equal(await says({ host: 'bench-pi', config }), 'hello sh\n');
  });

  t.test('through a jump host, whose host key is checked as well', async (t) => {
    const config = join(sshd.folder, 'jump-config');
    writeFileSync(config, `Host *\n  IdentityFile ${sshd.key}\n`);
    const jump = `${sshd.user}@127.0.0.1:${sshd.port}`;
    t.equal(await says(sshd.settings({ jump, config })), 'hello sh\n');
    t.equal(await says(sshd.settings({ jump: `${jump},${jump}`, config })), 'hello sh\n', 'through two');
    const nowhere = sshd.settings({ jump, config, port: await freePort() });
    await expectRejection(t, 'EM4010', /jump host says/, says(nowhere));
    writeFileSync(join(sshd.folder, 'none'), '');
    const unknown = sshd.settings({ jump, config, knownHosts: join(sshd.folder, 'none') });
    await expectRejection(t, 'EM4012', /SHA256/, says(unknown));
    writeFileSync(config, `Host *\n  ProxyJump 127.0.0.1:${sshd.port}\n`);
    await expectRejection(t, 'EM4015', /jump hosts/, says(sshd.settings({ config })));
  });

  t.test('nobody there', async (t) => {
    const port = await freePort();
    await expectRejection(t, 'EM4010', /ECONNREFUSED/, says(sshd.settings({ port })));
    const silent = await import('node:net').then(({ createServer }) =>
      createServer(() => {}).listen(0, '127.0.0.1'),
    );
    t.teardown(() => silent.close());
    await new Promise((resolve) => silent.once('listening', resolve));
    const address = silent.address();
    const dead = sshd.settings({ port: typeof address === 'object' && address !== null ? address.port : 0 });
    await expectRejection(t, 'EM4010', /./, says(dead, { timeoutMs: 500, acceptNew: false }));
  });
});

t.test('host keys', { skip: noSshd }, async (t) => {
  const sshd = await startSshd(t);
  const name = `[127.0.0.1]:${sshd.port}`;
  const file = (text: string) => {
    const path = join(sshd.folder, `known-${Math.random().toString(36).slice(2)}`);
    writeFileSync(path, text);
    return path;
  };
  const key = sshd.hostKey.split(' ').slice(0, 2).join(' ');
  makeKey(join(sshd.folder, 'other-host'));
  const other = readFileSync(join(sshd.folder, 'other-host.pub'), 'utf8').split(' ').slice(0, 2).join(' ');

  t.test('a host that nobody knows: refused, with its fingerprint', async (t) => {
    const knownHosts = file('');
    const error = await expectRejection(
      t,
      'EM4012',
      /ssh-ed25519 SHA256:/,
      says(sshd.settings({ knownHosts })),
    );
    const shown = execFileSync('ssh-keygen', ['-l', '-f', join(sshd.folder, 'host.pub')], {
      encoding: 'utf8',
    });
    t.ok(error?.why.includes(shown.split(' ')[1]), 'the fingerprint that ssh-keygen prints');
    t.equal(readFileSync(knownHosts, 'utf8'), '');
  });

  t.test('--accept-new writes it down so that ssh-keygen finds it; then it is known', async (t) => {
    const knownHosts = file('# without an end of line');
    t.equal(await says(sshd.settings({ knownHosts }), { ...connect, acceptNew: true }), 'hello sh\n');
    const found = execFileSync('ssh-keygen', ['-F', name, '-f', knownHosts], { encoding: 'utf8' });
    t.match(found, key.split(' ')[1]);
    t.match(readFileSync(knownHosts, 'utf8'), /\n\|1\|/, 'hashed');
    t.equal(await says(sshd.settings({ knownHosts })), 'hello sh\n');
  });

  t.test('names hashed by ssh-keygen -H', async (t) => {
    const knownHosts = file(`${name} ${key}\n`);
    execFileSync('ssh-keygen', ['-q', '-H', '-f', knownHosts], { stdio: 'ignore' });
    t.notMatch(readFileSync(knownHosts, 'utf8'), /127\.0/);
    t.equal(await says(sshd.settings({ knownHosts })), 'hello sh\n');
  });

  t.test('another key than before: refused, --accept-new or not', async (t) => {
    const knownHosts = file(`${name} ${other}\n`);
    await expectRejection(t, 'EM4013', /another/, says(sshd.settings({ knownHosts })));
    await expectRejection(
      t,
      'EM4013',
      /another/,
      says(sshd.settings({ knownHosts }), { ...connect, acceptNew: true }),
    );
    t.equal(readFileSync(knownHosts, 'utf8'), `${name} ${other}\n`);
  });

  t.test('a key of the host that is revoked', async (t) => {
    const knownHosts = file(`${name} ${key}\n@revoked * ${key}\n`);
    await expectRejection(t, 'EM4013', /@revoked/, says(sshd.settings({ knownHosts })));
  });

  t.test('a pinned fingerprint decides alone', async (t) => {
    const own = fingerprint(Buffer.from(key.split(' ')[1], 'base64'));
    t.equal(await says(sshd.settings({ fingerprint: own, knownHosts: file('') })), 'hello sh\n');
    const wrong = fingerprint(Buffer.from(other.split(' ')[1], 'base64'));
    await expectRejection(t, 'EM4013', /boards.json pins/, says(sshd.settings({ fingerprint: wrong })));
  });

  t.test('a host that has several keys shows the one that is known', async (t) => {
    makeKey(join(sshd.folder, 'rsa'), 'rsa');
    const both = await startSshd(t, [`HostKey ${join(sshd.folder, 'rsa')}`]);
    const rsa = readFileSync(join(sshd.folder, 'rsa.pub'), 'utf8').split(' ').slice(0, 2).join(' ');
    const knownHosts = file(`[127.0.0.1]:${both.port} ${rsa}\n`);
    t.equal(await says(both.settings({ knownHosts })), 'hello sh\n');
  });
});

t.test('boards.json and the command line name the same board', { skip: noSshd }, async (t) => {
  const sshd = await startSshd(t);
  const entry = { name: 'pi', target: 'cortex-a72', ssh: sshd.settings({ port: 1 }), notes: 'on the shelf' };
  writeFileSync(join(sshd.folder, 'boards.json'), JSON.stringify({ boards: [entry] }));
  const nothing = { board: null, ssh: null, serial: null, identity: null, knownHosts: null, login: null };
  const chosen = await selectBoard({ ...nothing, board: 'pi', ssh: `127.0.0.1:${sshd.port}` }, sshd.folder);
  t.ok(chosen.transport.kind === 'ssh');
  if (chosen.transport.kind === 'ssh') t.equal(await says(chosen.transport.ssh), 'hello sh\n');
});
