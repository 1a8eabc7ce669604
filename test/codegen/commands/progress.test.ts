import { EventEmitter } from 'node:events';
import t from 'tap';
import { createProgress } from '../../../codegen/commands/progress.js';
import { ProgressBar } from '../../../codegen/commands/progress-bar.js';
import { ProgressLines } from '../../../codegen/commands/progress-lines.js';
import { StageMeter } from '../../../codegen/commands/stage-meter.js';

/** A terminal that keeps what is on its screen: understands the few sequences that the bar uses. */
class Screen extends EventEmitter {
  readonly isTTY = true;
  readonly rows: string[] = [''];
  cursorShown = true;
  written = '';
  private column = 0;
  private wraps = true;

  constructor(public columns = 80) {
    super();
  }

  write(text: string): void {
    this.written += text;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control sequences are what this is about
    for (const [part, sequence] of text.matchAll(/\x1b\[([?\d]*[a-zA-Z])|[\s\S]/gu)) {
      if (sequence === undefined) this.put(part);
      else this.obey(sequence);
    }
  }

  resize(columns: number): void {
    this.columns = columns;
    this.emit('resize');
  }

  get text(): string {
    return this.rows.join('\n');
  }

  private put(character: string): void {
    if (character === '\n') this.rows.push('');
    if (character === '\n' || character === '\r') {
      this.column = 0;
      return;
    }
    if (this.column === this.columns) {
      if (!this.wraps) return;
      this.rows.push('');
      this.column = 0;
    }
    const row = [...this.rows[this.rows.length - 1]];
    row[this.column++] = character;
    this.rows[this.rows.length - 1] = row.join('');
  }

  private obey(sequence: string): void {
    if (sequence === 'J') {
      const row = [...this.rows[this.rows.length - 1]];
      this.rows[this.rows.length - 1] = row.slice(0, this.column).join('');
    }
    if (sequence === '?25l') this.cursorShown = false;
    if (sequence === '?25h') this.cursorShown = true;
    if (sequence === '?7l') this.wraps = false;
    if (sequence === '?7h') this.wraps = true;
  }
}

const plain = { color: false, unicode: false };

/** A bar with a clock that the test sets, in milliseconds. */
function barOn(screen: Screen, style = plain) {
  const clock = { now: 0 };
  return { bar: new ProgressBar(screen, style, () => clock.now), clock };
}

t.test('a stage on a terminal', async (t) => {
  const screen = new Screen();
  const { bar, clock } = barOn(screen);
  bar.begin('calibrate', 200, 'token');
  t.equal(screen.text, '  calibrate            ................................    0 %');
  t.equal(screen.cursorShown, false);
  clock.now = 2000;
  bar.advance(50);
  t.equal(screen.text, '  calibrate            ######....................   25 %  25 tokens/s  6 s left');
  clock.now = 2050;
  bar.advance(50);
  t.match(screen.text, '25 %', 'drawn at most ten times a second');
  clock.now = 8000;
  bar.advance(100);
  bar.end('4 ranges');
  t.equal(screen.text, '+ calibrate            4 ranges  8.00 s\n');
  t.equal(screen.cursorShown, true);
});

t.test('stages, warnings and other talk, one below the other', async (t) => {
  const screen = new Screen();
  const { bar, clock } = barOn(screen);
  bar.begin('emit', 3, 'step');
  bar.warn('something \x1b[2J odd');
  bar.say('$ gcc -c a.c');
  t.equal(
    screen.text,
    'warning: something \\u001b[2J odd\n$ gcc -c a.c\n  emit                 ................................    0 %',
  );
  bar.advance(3);
  clock.now = 12;
  bar.end();
  bar.begin('run', 1, 'run');
  bar.close();
  bar.say('after');
  t.equal(
    screen.text,
    'warning: something \\u001b[2J odd\n$ gcc -c a.c\n+ emit                 3 steps  12.0 ms\nafter\n',
    'what was not finished leaves no line',
  );
  t.equal(screen.cursorShown, true);
});

t.test('the line fits every width', async (t) => {
  const screen = new Screen();
  const { bar, clock } = barOn(screen);
  bar.begin('calibrate', 1000, 'token');
  clock.now = 60_000;
  bar.advance(100);
  for (const columns of [200, 80, 60, 50, 40, 30, 20, 10, 1]) {
    screen.resize(columns);
    t.equal(screen.rows.length, 1, `${columns} columns: one row`);
    t.ok(screen.text.length < Math.max(2, columns), `${columns} columns: ${screen.text}`);
    if (columns >= 40) t.match(screen.text, /10 %/);
  }
  bar.close();
});

t.test('a terminal that became narrower unnoticed shows one row', async (t) => {
  const screen = new Screen(100);
  const { bar } = barOn(screen);
  bar.begin('calibrate', 1000, 'token');
  const narrow = new Screen(30);
  narrow.write(screen.written);
  t.equal(narrow.rows.length, 1);
  bar.close();
});

t.test('no total, no share', async (t) => {
  const screen = new Screen();
  const { bar, clock } = barOn(screen);
  bar.begin('read', 0, 'token');
  clock.now = 1000;
  bar.advance(12);
  t.equal(screen.text, '  read                 12 tokens  12 tokens/s');
  bar.close();
});

t.test('colors and characters', async (t) => {
  const screen = new Screen();
  const { bar } = barOn(screen, { color: true, unicode: true });
  bar.begin('emit', 2, 'step');
  bar.advance(1);
  bar.end();
  t.match(screen.written, '\x1b[2m░');
  t.match(screen.text, '✓ emit');
});

t.test('nothing is left behind in the process', async (t) => {
  const before = process.listenerCount('exit');
  const screen = new Screen();
  const { bar } = barOn(screen);
  for (let i = 0; i < 3; i++) {
    bar.begin('emit', 1, 'step');
    t.equal(process.listenerCount('exit'), before + 1, 'the cursor comes back if the process ends here');
    bar.end();
  }
  t.equal(process.listenerCount('exit'), before);
  t.equal(screen.listenerCount('resize'), 0);
});

t.test('plain lines: one a stage, and for a long one now and then', async (t) => {
  const clock = { now: 0 };
  let text = '';
  const lines = new ProgressLines({ write: (part) => (text += part) }, () => clock.now);
  lines.begin('calibrate', 100, 'token');
  for (let i = 0; i < 100; i++) {
    clock.now += 120;
    lines.advance(1);
  }
  lines.end();
  lines.warn('careful');
  lines.begin('emit', 1, 'step');
  lines.advance(1);
  lines.end('2 files');
  t.equal(
    text,
    [
      'calibrate: 42 %, 8.33 tokens/s, 7 s left',
      'calibrate: 84 %, 8.33 tokens/s, 2 s left',
      'calibrate: 100 tokens (12.0 s)',
      'warning: careful',
      'emit: 2 files (0.0 ms)',
      '',
    ].join('\n'),
  );
});

t.test('which progress is shown', async (t) => {
  const screen = new Screen();
  const pipe = { write: () => true };
  t.type(createProgress(screen, false, { TERM: 'xterm' }), ProgressBar);
  t.type(createProgress(screen, false, { TERM: 'dumb' }), ProgressLines);
  t.type(createProgress(pipe, false, {}), ProgressLines);
  const quiet = createProgress(screen, true, {});
  quiet.begin('a', 1, 'b');
  quiet.warn('c');
  quiet.end();
  t.equal(screen.written, '');

  const colored = (environment: Record<string, string>) => {
    const shown = new Screen();
    const progress = createProgress(shown, false, environment);
    progress.begin('a', 1, 'b');
    progress.advance(1);
    progress.end();
    return { color: shown.written.includes('\x1b[32m'), unicode: shown.written.includes('✓') };
  };
  t.same(colored({}), { color: true, unicode: false });
  t.same(colored({ NO_COLOR: '' }), { color: true, unicode: false }, 'no-color.org: not empty');
  t.same(colored({ NO_COLOR: '1', LANG: 'de_DE.UTF-8' }), { color: false, unicode: true });
  t.same(colored({ LC_ALL: 'C', LANG: 'C.UTF-8' }), { color: true, unicode: false });
});

t.test('rates and times', async (t) => {
  const meter = new StageMeter('quantize', 4_000_000, 'weight', 0);
  t.equal(meter.rate(100), '');
  t.equal(meter.left(100), '');
  meter.advance(1_000_000);
  t.equal(meter.rate(2000), '500 k weights/s');
  t.equal(meter.left(100_000), '5 min 00 s left');
  t.equal(meter.left(40_000_000), '33 h 20 min left');
  meter.advance(3_000_000);
  t.equal(meter.left(2000), '');
  t.equal(meter.share, '100 %');
  t.equal(meter.amount, '4.00 M weights');
});
