import t, { type Test } from 'tap';
import { commands } from '../../../codegen/commands/index.js';
import { parseCommandLine } from '../../../codegen/commands/parse-command-line.js';
import { expectError } from '../checkpoint/expect-error.js';

const refused = (t: Test, code: Parameters<typeof expectError>[1], pattern: RegExp, line: string) =>
  expectError(t, code, pattern, () => parseCommandLine(line.split(' ')));

t.test('options alone mean build', async (t) => {
  const { command, values, globals, argument } = parseCommandLine(['--target', 'a72', '--no-run', '--json']);
  t.equal(command?.name, 'build');
  t.equal(argument, null);
  t.match(values, { target: 'a72', 'no-run': true, tokens: 64, threads: 0, context: null, quantize: null });
  t.same(globals, {
    json: true,
    quiet: false,
    verbose: false,
    'dry-run': false,
    help: false,
    version: false,
  });
});

t.test('the command is the first word that is no switch of every command', async (t) => {
  const { command, argument, globals } = parseCommandLine(['--quiet', 'inspect', '--json', 'model.blob']);
  t.equal(command?.name, 'inspect');
  t.equal(argument, 'model.blob');
  t.match(globals, { quiet: true, json: true });
  t.equal(parseCommandLine(['--target', 'run']).values.target, 'run', 'a value is no command');
  t.equal(parseCommandLine([]).command, null);
  t.equal(parseCommandLine(['--version']).globals.version, true);
});

t.test('values with = and without, that begin with dashes, after --', async (t) => {
  const parse = (...args: string[]) => parseCommandLine(['run', 'dir', ...args]).values;
  t.equal(parse('--prompt=--json').prompt, '--json');
  t.equal(parse('--prompt', '-x-').prompt, '-x-');
  t.equal(parse('--prompt', '--unheard-of').prompt, '--unheard-of');
  t.equal(parse('--prompt', '').prompt, '');
  t.equal(parseCommandLine(['inspect', '--', '--odd-name']).argument, '--odd-name');
});

t.test('what is not known is refused, with the nearest name', async (t) => {
  refused(t, 'EM1201', /no command 'biuld'/, 'biuld --target a72');
  refused(t, 'EM1201', /build has no option --targte/, '--targte a72');
  refused(t, 'EM1201', /run has no option --quantize; build has/, 'run dir --quantize int8');
  refused(t, 'EM1201', /no option -x/, 'run dir -x');
  refused(t, 'EM1201', /no command 'constructor'/, 'constructor');
  refused(t, 'EM1201', /no option --toString/, 'run dir --toString');
  refused(t, 'EM1201', /no option --__proto__/, '--__proto__ 1');
  try {
    parseCommandLine(['--targte', 'a72']);
  } catch (error) {
    t.match(error, { fix: 'did you mean --target?', exitCode: 2 });
  }
});

t.test('too little and too much', async (t) => {
  refused(t, 'EM1210', /BUNDLE is missing/, 'run');
  refused(t, 'EM1210', /needs a value, but it is the last word/, 'run dir --tokens');
  refused(t, 'EM1210', /needs a value, but --threads follows/, 'run dir --tokens --threads 2');
  refused(t, 'EM1210', /needs a value, but --threads=2 follows/, 'run dir --tokens --threads=2');
  refused(t, 'EM1208', /'two', 'three' cannot be used/, 'run one two three');
  refused(t, 'EM1208', /takes options only/, 'doctor now');
  refused(t, 'EM1208', /given twice/, 'run dir --tokens 1 --tokens 2');
  refused(t, 'EM1202', /takes no value/, '--target a72 --no-run=yes');
});

t.test('--help asks for nothing', async (t) => {
  for (const { name } of commands) {
    t.equal(parseCommandLine([name, '--help']).globals.help, true, name);
    t.equal(parseCommandLine([name, '-h']).globals.help, true, `${name} -h`);
  }
});
