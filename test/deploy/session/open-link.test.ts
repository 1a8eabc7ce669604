/** Ways to boards that cannot be opened are told of before anything waits. */
import t from 'tap';
import { boardOf } from '../../../deploy/boards/board.js';
import { diagnoseBoard } from '../../../deploy/boards/diagnose-board.js';
import { openLink } from '../../../deploy/session/open-link.js';
import { sessionWith } from '../../boards/board-bundle.js';
import { expectRejection } from '../../boards/expect-rejection.js';

t.test('a board that is left in U-Boot has no shell', async (t) => {
  const board = boardOf({ name: 'bare', serial: { port: '/dev/ttyNONE', uboot: {} } });
  await expectRejection(
    t,
    'EM4026',
    /bare \(\/dev\/ttyNONE\): .*serial\.uboot/,
    openLink(board, sessionWith()),
  );
  t.match(await diagnoseBoard(board, sessionWith()), [
    { status: 'fail', subject: 'connection', detail: /^EM4026/, fix: /deploy/ },
  ]);
});

t.test('a labgrid place is acquired first', async (t) => {
  const board = boardOf({ name: 'farm', labgrid: { place: 'pi' } });
  await expectRejection(t, 'EM4005', /labgrid:pi/, openLink(board, sessionWith()));
});
