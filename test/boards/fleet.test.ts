/** Several boards with one command: side by side, each for itself, one summary and one exit code. */
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { boardOf } from '../../deploy/boards/board.js';
import { assignBundles } from '../../deploy/fleet/assign-bundles.js';
import { deployFleet } from '../../deploy/fleet/deploy-fleet.js';
import { encodeOwner, ownLock } from '../../deploy/session/lock-owner.js';
import { expectError } from '../codegen/checkpoint/expect-error.js';
import { editManifest, quietContext } from '../codegen/evaluate/tiny-bundle.js';
import { listening, quickDeploy, sessionWith } from './board-bundle.js';
import { freePort, startSshd } from './loopback-sshd.js';
import {
  bundle,
  bundleCopy,
  embedModel,
  hangingBundle,
  isLocked,
  manifest,
  root,
  skip,
  writeBoards,
} from './ssh-fixture.js';

t.setTimeout(900_000);

t.test('every board is told of, the gravest exit code wins', { skip }, async (t) => {
  const [one, two, busy] = [await startSshd(t), await startSshd(t), await startSshd(t)];
  const entry = (name: string, sshd: typeof one) => ({ name, ssh: sshd.settings(), folder: root(sshd) });
  const gone = { name: 'gone', ssh: { host: '127.0.0.1', port: await freePort() } };
  writeBoards(one, [entry('one', one), entry('two', two), entry('busy', busy), gone]);
  const deploy = (names: string, path = bundle) =>
    embedModel(['deploy', path, '--board', names, '--json', '--repeat', '1', '--tokens', '2'], one);
  const well = deploy('two,one,two');
  t.equal(well.status, 0, well.stderr);
  t.match(JSON.parse(well.stdout), {
    results: [{ board: { name: 'two' } }, { board: { name: 'one' } }],
    failures: [],
  });
  t.equal(JSON.parse(well.stdout).results.length, 2);
  t.match(well.stderr, /2 of 2 computed what the reference does/);

  mkdirSync(root(busy));
  symlinkSync(encodeOwner({ ...ownLock('', 'cafe'), host: 'elsewhere' }), join(root(busy), 'lock'));
  t.equal(deploy('one,busy').status, 4);
  const some = deploy('one,gone,busy');
  t.equal(some.status, 3, 'no connection is graver than a lock');
  t.match(JSON.parse(some.stdout), {
    results: [{ board: { name: 'one' }, output: { matchesGolden: true } }],
    failures: [
      { board: 'gone', error: { code: 'EM4010', exitCode: 3 } },
      { board: 'busy', error: { code: 'EM4030', exitCode: 4 } },
    ],
  });
  const wrong = bundleCopy(one, 'wrong');
  editManifest(wrong, ({ golden }) => ({
    golden: golden.map((run) => ({ ...run, logitsDigest: '0'.repeat(16) })),
  }));
  t.equal(deploy('one,gone,busy', wrong).status, 1, 'other logits are the gravest');
  t.equal(isLocked(one), null);
  t.equal(isLocked(two), null);
});

t.test('side by side; Ctrl-C gives all of them back', { skip }, async (t) => {
  const fleet = [await startSshd(t), await startSshd(t), await startSshd(t)];
  const hanging = hangingBundle(fleet[0], 'exec sleep 1000');
  const controller = new AbortController();
  const context = { ...quietContext(), signal: controller.signal };
  const work = deployFleet(
    fleet.map((sshd) => ({ board: sshd.board(), bundle: hanging })),
    quickDeploy,
    sessionWith({ signal: controller.signal, progress: listening() }),
    context,
  );
  let together = false;
  for (let tries = 0; tries < 300 && !together; tries++) {
    await delay(100);
    together = fleet.every((sshd) => isLocked(sshd) !== null);
  }
  t.ok(together, 'all are held at the same time');
  const reason = new Error('enough');
  controller.abort(reason);
  await t.rejects(work, reason);
  for (const sshd of fleet) t.equal(isLocked(sshd), null);
});

t.test('a board gets the bundle of its target', { skip }, async (t) => {
  const sshd = await startSshd(t);
  const board = (name: string, target?: string) =>
    boardOf({ name, ssh: { host: 'none' }, ...(target === undefined ? {} : { target }) });
  const other = bundleCopy(sshd, 'other');
  editManifest(other, () => ({ target: 'riscv-u74' }));
  const own = manifest!.target;
  const [pc, vf2] = [board('pc', own), board('vf2', 'riscv-u74')];
  t.same(assignBundles([bundle, other], [vf2, pc]), [
    { board: vf2, bundle: other },
    { board: pc, bundle },
  ]);
  const open = board('open');
  t.same(assignBundles([bundle], [open]), [{ board: open, bundle }], 'one bundle goes everywhere');
  expectError(t, 'EM4004', /does not name its target/, () => assignBundles([bundle, other], [open]));
  expectError(t, 'EM4004', /none of .*cortex-a72/, () =>
    assignBundles([bundle, other], [board('pi', 'cortex-a72')]),
  );
  expectError(t, 'EM4004', /more than one/, () => assignBundles([bundle, bundle], [pc]));
  const misfit = deployFleet(
    [{ board: sshd.board(), bundle: join(sshd.folder, 'absent') }],
    quickDeploy,
    sessionWith(),
    quietContext(),
  );
  t.match(await misfit, { results: [], failures: [{ board: 'loopback', error: { code: 'EM1401' } }] });
});
