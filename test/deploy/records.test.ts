import fc from 'fast-check';
import t from 'tap';
import { crc32c } from '../../codegen/layout/crc32c.js';
import { RecordParser, type RunRecord, type StreamEvent } from '../../deploy/records.js';
import { RunCollector } from '../../deploy/run-outcome.js';

/** A record's line as templates/runner/records.c writes it. */
function line(sequence: number, kindAndFields: string): string {
  const body = `em1 ${sequence} ${kindAndFields} `;
  return `${body}*${crc32c(Buffer.from(body, 'latin1')).toString(16).padStart(8, '0')}\n`;
}

function percentEncode(text: string): string {
  const plain = /[!-~]/;
  return [...Buffer.from(text, 'utf8')]
    .map((byte) => String.fromCharCode(byte))
    .map((char) =>
      plain.test(char) && !'%=*'.includes(char)
        ? char
        : `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .join('');
}

const build = 'ab'.repeat(32);
const timing = 'threads=2 prompt_tokens=3 prompt_ns=900 all_logits=1 decoded=2 decode_ns=50';
const percentiles = 'min=20 p50=20 p90=30 p99=30 max=30 milli_tokens_per_s=40000000000';

/** A run from ready to done with these token texts. */
function runLines(texts: readonly string[]): string[] {
  const bodies = [
    `ready build=${build} model=os-nano target=riscv-u74 abi=1 vocab=4096 context=512 logits_frac=16`,
    'prompt first=0 ids=1,2',
    'prompt first=2 ids=3',
    ...texts.map(
      (text, index) => `token index=${index} id=${100 + index} ns=${7 + index} text=${percentEncode(text)}`,
    ),
    'digest positions=5 value=0123456789abcdef',
    `timing ${timing} ${percentiles}`,
    'memory arena=600 state=100 kv=200 activations=300 blob=4096 peak_rss=8192',
    `done reason=length tokens=${texts.length} text=`,
  ];
  return bodies.map((body, sequence) => line(sequence, body));
}

function parse(chunks: readonly (string | Uint8Array)[]): StreamEvent[] {
  const parser = new RecordParser();
  const events = chunks.flatMap((chunk) =>
    parser.push(typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk),
  );
  return [...events, ...parser.end()];
}

function recordsOf(events: readonly StreamEvent[]): RunRecord[] {
  return events.flatMap((event) => (event.type === 'record' ? [event.record] : []));
}

function outcomeOf(events: readonly StreamEvent[]) {
  const collector = new RunCollector();
  for (const event of events) collector.add(event);
  return collector.outcome();
}

t.test('a whole run', async (t) => {
  const outcome = outcomeOf(parse(runLines(['Once', ' upon', ' a = 100% *'])));
  t.match(outcome, {
    ready: {
      build,
      model: 'os-nano',
      target: 'riscv-u74',
      abi: 1,
      vocab: 4096,
      context: 512,
      logitsFrac: 16,
    },
    promptIds: [1, 2, 3],
    text: 'Once upon a = 100% *',
    tokens: [
      { index: 0, id: 100, ns: 7 },
      { index: 1, id: 101, ns: 8 },
      { index: 2, id: 102, ns: 9 },
    ],
    digest: { positions: 5, value: '0123456789abcdef' },
    timing: {
      threads: 2,
      promptTokens: 3,
      promptNs: 900,
      allLogits: true,
      decoded: 2,
      decodeNs: 50,
      p90: 30,
    },
    memory: { arena: 600, state: 100, kv: 200, activations: 300, blob: 4096, peakRss: 8192 },
    done: { reason: 'length', tokens: 3 },
    error: null,
    lostRecords: 0,
    complete: true,
  });
});

t.test('a peak that the board does not tell is null', async (t) => {
  const [record] = recordsOf(parse([line(0, 'memory arena=6 state=1 kv=2 activations=3 blob=4')]));
  t.match(record, { kind: 'memory', peakRss: null });
});

t.test('an error ends a run that is not complete', async (t) => {
  const message = 'model.blob: the blob is cut short';
  const outcome = outcomeOf(
    parse([line(0, `error status=EM_E_BLOB_TRUNCATED exit=2 message=${percentEncode(message)}`)]),
  );
  t.match(outcome, {
    error: { status: 'EM_E_BLOB_TRUNCATED', exit: 2, message },
    ready: null,
    complete: false,
  });
});

t.test('a run that starts over replaces the one before', async (t) => {
  const first = runLines(['lost', 'words']).slice(0, 5);
  const outcome = outcomeOf(parse([...first.slice(0, 3), ...first.slice(4), ...runLines(['new'])]));
  t.match(outcome, { text: 'new', promptIds: [1, 2, 3], lostRecords: 0, complete: true });
  t.equal(outcome.tokens.length, 1);
});

t.test('records of one line, carriage returns, a last line without an end', async (t) => {
  const lines = runLines(['a', 'b']);
  const noisy = `[   12.3] usb 1-1: new device ${lines[0].trim()}\r\n${lines[1].trim()}${lines.slice(2).join('')}`;
  const events = parse([noisy.trimEnd()]);
  t.same(recordsOf(events), recordsOf(parse(lines)));
  t.same(
    events.filter(({ type }) => type !== 'record'),
    [{ type: 'noise', text: '[   12.3] usb 1-1: new device' }],
  );
});

t.test('lost and damaged records are told', async (t) => {
  const lines = runLines(['a', 'b', 'c']);
  const damaged = lines[3].replace('id=100', 'id=200');
  const events = parse([...lines.slice(0, 3), damaged, ...lines.slice(5)]);
  t.match(
    events.filter(({ type }) => type !== 'record'),
    [
      { type: 'damaged', why: 'checksum', text: damaged.trim() },
      { type: 'gap', expected: 3, found: 5 },
    ],
  );
  t.match(outcomeOf(events), { text: 'c', lostRecords: 2, complete: false });
  t.match(
    parse([lines[0], lines[1], lines[1]]).filter(({ type }) => type !== 'record'),
    [{ type: 'damaged', why: 'record came before' }],
  );
});

t.test('what this version does not know is not guessed at', async (t) => {
  const bodies = [
    'surprise a=1',
    'token index=0 id=1 ns=1',
    'token index=0 id=one ns=1 text=',
    'token index=0 id=1 ns=99999999999999999999 text=',
    'digest positions=5 value=0123',
    'done reason=whim tokens=1 text=',
    'prompt first=0 ids=1,,2',
    'token index=0 id=1 ns=1 text=%4',
  ];
  for (const body of bodies)
    t.match(parse([line(0, body)]), [{ type: 'damaged', why: /^(unknown kind|value of) / }], body);
});

t.test('property: any split into chunks gives the same records', async (t) => {
  const texts = fc.array(fc.string({ unit: 'binary', maxLength: 12 }), { maxLength: 6 });
  const cuts = fc.array(fc.nat(4000), { maxLength: 30 });
  const property = fc.property(texts, cuts, (list, at) => {
    const whole = Buffer.from(runLines(list).join(''), 'latin1');
    const edges = [0, ...at.map((cut) => cut % (whole.length + 1)).sort((a, b) => a - b), whole.length];
    const chunks = edges.slice(1).map((edge, index) => whole.subarray(edges[index], edge));
    const outcome = outcomeOf(parse(chunks));
    return outcome.complete && outcome.text === list.join('') && outcome.tokens.length === list.length;
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 300 }));
});

t.test('property: noise between lines costs no record', async (t) => {
  const noise = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
  const lines = runLines(['One', ' two', ' three']);
  const clean = recordsOf(parse(lines));
  const property = fc.property(
    fc.array(noise, { minLength: lines.length, maxLength: lines.length }),
    (list) => {
      const events = parse(lines.map((text, index) => `${list[index]}\n${text}`));
      return (
        JSON.stringify(recordsOf(events)) === JSON.stringify(clean) &&
        !events.some(({ type }) => type === 'gap')
      );
    },
  );
  t.doesNotThrow(() => fc.assert(property, { numRuns: 300 }));
});

t.test('property: a record with flipped bits is never accepted', async (t) => {
  const lines = runLines(['One', ' two = 2', ' drei €']);
  const whole = Buffer.from(lines.join(''), 'latin1');
  const clean = recordsOf(parse([whole])).map((record) => JSON.stringify(record));
  const starts = lines.map((_, index) => lines.slice(0, index).join('').length);

  t.test('every single bit', async (t) => {
    let wrong = 0;
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const flipped = Buffer.from(whole);
      flipped[bit >> 3] ^= 1 << (bit & 7);
      const hit = starts.findLastIndex((start) => start <= bit >> 3);
      const isNewline = whole[bit >> 3] === 0x0a;
      const expected = clean.filter((_, index) => isNewline || index !== hit);
      const found = recordsOf(parse([flipped])).map((record) => JSON.stringify(record));
      if (JSON.stringify(found) !== JSON.stringify(expected)) wrong++;
    }
    t.equal(wrong, 0);
  });

  t.test('any damage to any bytes', async (t) => {
    const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 20,
    });
    const property = fc.property(damage, (hits) => {
      const damaged = Buffer.from(whole);
      for (const [at, flip] of hits) damaged[at] ^= flip;
      return recordsOf(parse([damaged])).every((record) => clean.includes(JSON.stringify(record)));
    });
    t.doesNotThrow(() => fc.assert(property, { numRuns: 2000 }));
  });

  t.test('random bytes', async (t) => {
    const property = fc.property(
      fc.uint8Array({ maxLength: 400 }),
      (bytes) => recordsOf(parse([bytes])).length === 0,
    );
    t.doesNotThrow(() => fc.assert(property, { numRuns: 500 }));
  });
});

t.test('a line without end does not fill memory, and the stream goes on after it', async (t) => {
  const parser = new RecordParser();
  const endless = Buffer.alloc(1 << 16, 'x');
  let noise = 0;
  for (let chunk = 0; chunk < 64; chunk++) {
    for (const event of parser.push(endless)) noise += event.type === 'noise' ? event.text.length : 0;
  }
  t.ok(noise > 60 << 16, 'it was handed on as it came');
  const events = [...parser.push(Buffer.from(`\n${runLines(['a']).join('')}`)), ...parser.end()];
  t.ok(outcomeOf(events).complete);
});
