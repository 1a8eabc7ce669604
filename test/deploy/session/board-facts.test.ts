import t from 'tap';
import { compareConditions, parseConditions } from '../../../deploy/session/board-conditions.js';
import { parseFacts } from '../../../deploy/session/board-facts.js';
import { decodeOwner, encodeOwner, ownLock } from '../../../deploy/session/lock-owner.js';

t.test('facts of a Raspberry Pi, as its files have them', async (t) => {
  const facts = parseFacts(
    [
      'machine=aarch64',
      'kernel=Linux 6.6.31+rpt-rpi-v8',
      'model=Raspberry Pi 4 Model B Rev 1.4',
      'boot=6e3d7b1c-0000-4000-8000-000000000000',
      'memory=3884360',
      'missing=base64',
      'processors=4',
      'Features\t: fp asimd evtstrm crc32 cpuid',
      '',
    ].join('\r\n'),
  );
  t.match(facts, {
    ...{ machine: 'aarch64', cpu: 'Raspberry Pi 4 Model B Rev 1.4', processors: 4, missing: ['base64'] },
    memoryBytes: 3884360 * 1024,
  });
  t.ok(facts.features.has('asimd'));
});

t.test('a board that says nothing of heat and clock has nulls, never figures', async (t) => {
  const silent = parseConditions('governor=\nkhz=\nmillicelsius=\nthrottle=\nmicrojoules=\n');
  t.same(compareConditions(silent, silent), {
    governor: null,
    frequencyMHz: { before: null, after: null },
    temperatureC: { before: null, after: null },
    throttled: null,
    energyJ: null,
  });
});

t.test('throttling: a counter that moved, or a flag that says now', async (t) => {
  const reading = (throttle: string, energy: string) =>
    parseConditions(
      `governor=ondemand\nkhz=1500000\nmillicelsius=48312\nthrottle=${throttle}\nmicrojoules=${energy}`,
    );
  const cool = compareConditions(
    reading('throttled=0x50000', '1000000'),
    reading('throttled=0x50000', '3500000'),
  );
  t.match(cool, { throttled: false, energyJ: 2.5, governor: 'ondemand', temperatureC: { before: 48.312 } });
  t.equal(compareConditions(reading('throttled=0x0', ''), reading('throttled=0x50005', '')).throttled, true);
  t.equal(compareConditions(reading('0 0', ''), reading('0 3', '')).throttled, true);
  t.equal(
    compareConditions(reading('7 7', '9'), reading('7 7', '1')).energyJ,
    null,
    'a counter that wrapped',
  );
});

t.test('lock owners survive their encoding, and nothing else is one', async (t) => {
  const owner = ownLock('boot-id', 'beef');
  t.same(decodeOwner(encodeOwner(owner)), owner);
  const odd = encodeOwner({ ...owner, user: "a_b'; rm -rf /" });
  t.match(odd, /^[A-Za-z0-9.:@_-]+$/);
  t.equal(decodeOwner('/some/where'), null);
  t.equal(decodeOwner('em-lock_a_b'), null);
});
