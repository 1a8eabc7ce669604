/** Records of golden runs, from a port in memory: what lines and boards do once in a while, done every time. */
import { EventEmitter } from 'node:events';
import t from 'tap';
import { crc32c } from '../../../codegen/layout/crc32c.js';
import { type BytePort, SerialConsole } from '../../../deploy/serial/serial-console.js';
import { ImageRuns } from '../../../deploy/u-boot/image-runs.js';

class Port extends EventEmitter implements BytePort {
  write(_: Buffer, done: (error: null) => void) {
    done(null);
  }
  drain(done: (error: null) => void) {
    done(null);
  }
  close(done: (error: null) => void) {
    done(null);
  }
}

const record = (text: string) => {
  const covered = `${text} `;
  return `${covered}*${crc32c(Buffer.from(covered)).toString(16).padStart(8, '0')}\r\n`;
};
const run = (id: number) => [
  record(`em1 0 ready build=${'ab'.repeat(32)} model=m target=t abi=1 vocab=9 context=8 logits_frac=20`),
  record('em1 1 prompt first=0 ids=1'),
  record(`em1 2 token index=0 id=${id} ns=5 text=`),
  record('em1 3 digest positions=1 value=0123456789abcdef'),
  record('em1 4 done reason=length tokens=1 text='),
];

function reading(lines: readonly string[], timeoutMs = 5000) {
  const port = new Port();
  const console = new SerialConsole('port', port);
  setTimeout(() => port.emit('data', Buffer.from(lines.join(''), 'latin1')), 10);
  return ImageRuns.read(console, { timeoutMs });
}

t.test('runs one after the other, among words of U-Boot', async (t) => {
  const runs = await reading([
    '## Starting application at 0x84000000 ...\r\n',
    ...run(3),
    ...run(4),
    'passed\r\n',
  ]);
  t.equal(runs.failure, null);
  t.strictSame(
    runs.outcomes.map(({ complete, tokens }) => [complete, tokens[0]!.id]),
    [
      [true, 3],
      [true, 4],
    ],
  );
});

t.test('what the program says where it cannot compute', async (t) => {
  const runs = await reading([record('em1 0 error status=blob%20payload%20damaged exit=1 message=weights')]);
  t.equal(runs.failure, 'weights: blob payload damaged');
});

t.test('a record that was lost, a trap, and a program that hangs', async (t) => {
  const [, , token] = run(3);
  const holed = run(3).filter((line) => line !== token);
  await t.rejects(reading([...holed, 'passed\r\n']), { code: 'EM4022' });
  await t.rejects(reading(['"Synchronous Abort" handler, esr 0x02000000\r\n']), { code: 'EM4038' });
  await t.rejects(reading(['   Verifying Checksum ... Bad Data CRC\r\n']), { code: 'EM4038' });
  await t.rejects(reading(['## Starting application\r\n'], 200), { code: 'EM4035' });
});
