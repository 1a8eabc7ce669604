import t from 'tap';
import { EmbedError } from '../../../codegen/diagnostics/error.js';
import { printable } from '../../../codegen/diagnostics/printable.js';

t.test('an error says what, where, why and what to do', async (t) => {
  const error = new EmbedError('EM1203', { where: '--target', why: "there is no target 'x'" });
  t.equal(
    error.format(),
    [
      'error EM1203: unknown target',
      '  where: --target',
      "  why:   there is no target 'x'",
      '  fix:   run embed-model targets for the list',
    ].join('\n'),
  );
  t.equal(error.exitCode, 2);
  t.equal(error.message, "EM1203: unknown target (--target): there is no target 'x'");
});

t.test('advice can be particular, and the cause is kept', async (t) => {
  const cause = new Error('because');
  const error = new EmbedError('EM1203', { where: 'x', why: 'y', fix: 'did you mean z?', cause });
  t.match(error.format(), 'fix:   did you mean z?');
  t.equal(error.cause, cause);
});

t.test('what untrusted files say cannot move the cursor', async (t) => {
  const error = new EmbedError('EM1004', {
    where: 'a\x1b[2J.json',
    why: 'key "\u0007\u009b1m" is there\ntwice',
  });
  t.match(error.format(), 'a\\u001b[2J.json');
  t.match(error.format(), '\\u0007\\u009b1m');
  t.equal(printable('tab\tand\nline stay, \r goes'), 'tab\tand\nline stay, \\u000d goes');
  t.equal(printable('größer 😀 ▁'), 'größer 😀 ▁');
});
