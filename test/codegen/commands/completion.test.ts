import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { completionScript } from '../../../codegen/commands/completion-scripts.js';
import { completionTable, shells } from '../../../codegen/commands/completion-table.js';
import { commands } from '../../../codegen/commands/index.js';
import { namedPlans } from '../../../codegen/quantize/plan.js';
import { targets } from '../../../targets/index.js';
import { embedModel } from './embed-model.js';

const targetNames = targets.flatMap(({ name, aliases }) => [name, ...aliases]);
const table = completionTable(commands, targetNames);

/** A folder with a bundle's folder and a file, both with names that need quoting, and a script for each shell. */
const folder = mkdtempSync(join(tmpdir(), 'embed-model-completion-'));
mkdirSync(join(folder, 'my bundle é'));
writeFileSync(join(folder, 'notes.txt'), '');
for (const shell of shells) writeFileSync(join(folder, `script.${shell}`), completionScript(shell, table));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a program in the folder, with nothing of the user's own; undefined where there is no such program. */
function run(program: string, args: readonly string[], input = '') {
  const env = { PATH: process.env.PATH, HOME: folder, LC_ALL: 'C.UTF-8', TERM: 'dumb' };
  const ended = spawnSync(program, args, { cwd: folder, env, input, encoding: 'utf8', timeout: 120_000 });
  return ended.error === undefined ? ended : undefined;
}

const lacks = (shell: string) => (run(shell, ['-c', ':']) === undefined ? `no ${shell} here` : false);

/** What a shell that offers every match of the last word must offer, whatever the shell. */
type Ask = (words: readonly string[]) => string[];
function offers(t: Test, ask: Ask): void {
  const first = ask(['']);
  for (const { name } of commands) t.ok(first.includes(name), `command ${name}`);
  t.ok(ask(['--']).includes('--target'), 'options alone mean build');
  for (const { name, options } of commands) {
    const found = ask([name, '--']);
    for (const option of [...Object.keys(options), 'json', 'help'])
      t.ok(found.includes(`--${option}`), `${name} --${option}`);
    if (name !== 'build') t.notOk(found.includes('--quantize'), `${name} has no --quantize`);
  }
  t.strictSame(ask(['--target', '']).slice().sort(), targetNames.slice().sort());
  t.strictSame(ask(['build', '--target', 'cortex']), ['cortex-a72']);
  t.strictSame(ask(['--json', 'build', '--quantize', 'int4-']), ['int4-head8'], 'behind a global switch');
  t.ok(Object.keys(namedPlans).every((name) => ask(['--quantize', '']).includes(name)));
  t.strictSame(ask(['build', '--toolchain', 'c']), ['clang']);
  t.strictSame(ask(['build', '--no-run', '--group-size', '6']), ['64']);
  t.strictSame(ask(['completion', 'z']), ['zsh']);
  t.strictSame(ask(['help', 'ver']), ['verify']);
}

t.test('bash: words', { skip: lacks('bash') }, async (t) => {
  offers(t, (words) => {
    const line = `source script.bash; COMP_WORDS=(embed-model "$@"); COMP_CWORD=$#; _embed_model; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = run('bash', ['--norc', '-c', line, 'bash', ...words])!;
    return stdout.split('\n').filter((one) => one !== '');
  });
});

t.test('fish: words', { skip: lacks('fish') }, async (t) => {
  offers(t, (words) => {
    const line = ['embed-model', ...words].join(' ');
    const { stdout } = run('fish', ['--no-config', '-c', 'source script.fish; complete -C $argv[1]', line])!;
    return stdout
      .split('\n')
      .map((one) => one.split('\t')[0]!)
      .filter((one) => one !== '' && !existsSync(join(folder, one))); // files beside words
  });
  const { stdout } = run('fish', [
    '--no-config',
    '-c',
    "source script.fish; complete -C 'embed-model run my'",
  ])!;
  t.match(stdout, /^my bundle é\//, 'folders');
});

/**
 * Types keys at an interactive shell in a terminal of its own, where embed-model is a function that shows its arguments, and
 * returns what it shows.
 */
function typed(start: string, keys: string): string {
  const show = `embed-model() { printf 'GOT'; printf '<%s>' "$@"; printf '\\n'; }\n`;
  const { stdout } = run('script', ['-qec', start, '/dev/null'], `${show}${keys}\nexit\n`)!;
  return stdout.split(/\r?\n/).findLast((line) => line.startsWith('GOT')) ?? stdout;
}

const line = 'embed-model --tar\tx86_64-a\t--quan\tint16\t--no-r\t';
const completed = 'GOT<--target><x86_64-avx2><--quantize><int16><--no-run>';

t.test('bash: keys at a terminal', { skip: lacks('bash') || lacks('script') }, async (t) => {
  const bash = (keys: string) => typed('bash --norc --noprofile -i', `source ./script.bash\n${keys}`);
  t.equal(bash(line), completed);
  t.equal(
    bash('embed-model build --target=cortex\t--out=my\t'),
    'GOT<build><--target=cortex-a72><--out=my bundle é/>',
  );
  t.equal(bash('embed-model run my\t'), 'GOT<run><my bundle é/>');
  t.equal(bash('embed-model eval --text no\t'), 'GOT<eval><--text><notes.txt>');
});

t.test('zsh: keys at a terminal', { skip: lacks('zsh') || lacks('script') }, async (t) => {
  const start = 'autoload -Uz compinit\ncompinit -D -u\nsource ./script.zsh\n';
  const zsh = (keys: string) => typed('zsh -f -i', `${start}${keys}`);
  t.equal(zsh(line), completed);
  t.equal(
    zsh('embed-model build --target=cortex\t--group-size 6\t'),
    'GOT<build><--target=cortex-a72><--group-size><64>',
  );
  t.equal(
    zsh('embed-model run my\t'),
    'GOT<run><my bundle é>',
    'zsh takes the slash back at the end of a line',
  );
  t.equal(zsh('embed-model eval --text no\t'), 'GOT<eval><--text><notes.txt>');
  t.equal(zsh('embed-model comp\tba\t'), 'GOT<completion><bash>');
});

t.test('the command', async (t) => {
  for (const shell of shells) {
    const { code, stdout } = await embedModel(['completion', shell]);
    t.equal(code, 0);
    t.equal(stdout, completionScript(shell, table));
  }
  const { code, stderr } = await embedModel(['completion', 'tcsh']);
  t.equal(code, 2);
  t.match(stderr, "'tcsh' is none of bash, zsh, fish");
});
