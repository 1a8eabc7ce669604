import t from 'tap';
import { namedPlans, type PlannedTensor, parsePlan, resolvePlan } from '../../../codegen/quantize/plan.js';
import { expectError } from '../checkpoint/expect-error.js';

const plan = (changes: Record<string, unknown> = {}) => ({
  schemaVersion: 1,
  name: 'mine',
  groupSize: 64,
  rules: [{ match: '*', format: 'w8' }],
  ...changes,
});

const names = ['embed', 'layers.0.attn.q', 'layers.0.mlp.down', 'layers.1.mlp.down', 'layers.10.mlp.down'];
const tensors: PlannedTensor[] = names.map((name) => ({ name, aliases: name === 'embed' ? ['head'] : [] }));

t.test('a plan is read as it stands', async (t) => {
  t.strictSame(parsePlan(plan(), 'p.json'), { ...plan(), rotate: true });
  t.equal(parsePlan(plan({ rotate: false }), 'p.json').rotate, false);
  t.equal(parsePlan(plan({ groupSize: undefined }), 'p.json').groupSize, 32);
  t.equal(parsePlan(plan({ name: undefined }), 'p.json').name, 'custom');
  t.doesNotThrow(() => parsePlan(plan({ $schema: 'x' }), 'p.json'));
  for (const named of Object.values(namedPlans)) t.strictSame(parsePlan(named, 'p.json'), named);
});

t.test('what is no plan gives EM2001 with the reason', async (t) => {
  const rule = (changes: Record<string, unknown>) =>
    plan({ rules: [{ match: '*', format: 'w8', ...changes }] });
  const wrong: [unknown, RegExp][] = [
    [null, /p\.json: it is not a JSON object/],
    [[], /not a JSON object/],
    [plan({ rotate: 'yes' }), /rotate must be true or false/],
    ['int8', /not a JSON object/],
    [plan({ schemaVersion: 2 }), /schemaVersion is 2, expected 1/],
    [plan({ schemaVersion: undefined }), /schemaVersion is undefined/],
    [plan({ group_size: 32 }), /field "group_size" is not known/],
    [plan({ groupSize: 16 }), /groupSize must be 32, 64 or 128/],
    [plan({ rules: [] }), /at least one rule/],
    [plan({ rules: { match: '*' } }), /at least one rule/],
    [plan({ rules: [null] }), /rules\[0\]\.match/],
    [rule({ match: '' }), /rules\[0\]\.match/],
    [rule({ format: 'w7' }), /rules\[0\]\.format is "w7"; formats are w4, w5/],
    [rule({ format: 8 }), /rules\[0\]\.format is 8/],
    [rule({ format: 'constructor' }), /rules\[0\]\.format is "constructor"/],
    [rule({ format: undefined }), /rules\[0\]\.format is undefined/],
  ];
  for (const [value, why] of wrong) expectError(t, 'EM2001', why, () => parsePlan(value, 'p.json'));
});

const resolve = (...rules: [match: string, format: string][]) => {
  const value = plan({ rules: rules.map(([match, format]) => ({ match, format })) });
  return [...resolvePlan(parsePlan(value, 'p.json'), tensors, 'p.json').values()];
};

t.test('the first rule that matches decides', async (t) => {
  t.strictSame(resolve(['layers.1.*', 'w4'], ['*.down', 'w5'], ['*', 'w8']), ['w8', 'w8', 'w5', 'w4', 'w5']);
  t.strictSame(resolve(['head', 'w6'], ['*', 'w16']), ['w6', 'w16', 'w16', 'w16', 'w16'], 'aliases count');
  t.strictSame(resolve(['e*b*d', 'w4'], ['layers.*.*.*', 'w8']), ['w4', 'w8', 'w8', 'w8', 'w8']);
  t.strictSame(resolve(['**', 'w4']), ['w4', 'w4', 'w4', 'w4', 'w4']);
});

t.test('patterns cover whole names and are taken literally', async (t) => {
  for (const idle of [
    'attn',
    'layers.0',
    'l.yers*',
    'layers.[0]*',
    'embed*embed',
    '*emb',
    'embe*bed*d',
    ' *',
  ]) {
    expectError(t, 'EM2001', /matches no tensor; names look like embed/, () =>
      resolve([idle, 'w4'], ['*', 'w8']),
    );
  }
});

t.test('a tensor without a rule is an error', async (t) => {
  expectError(t, 'EM2001', /no rule matches tensor embed/, () => resolve(['layers.*', 'w4']));
  expectError(t, 'EM2001', /no rule matches tensor layers\.0\.attn\.q/, () =>
    resolve(['*down', 'w4'], ['head', 'w8']),
  );
});

t.test('a pattern of many stars takes no time', { timeout: 5000 }, async (t) => {
  const long: PlannedTensor[] = [{ name: 'a'.repeat(5000), aliases: [] }];
  const stars = parsePlan(
    plan({
      rules: [
        { match: `${'*a'.repeat(2000)}*b`, format: 'w4' },
        { match: '*', format: 'w8' },
      ],
    }),
    'p',
  );
  expectError(t, 'EM2001', /matches no tensor/, () => resolvePlan(stars, long, 'p'));
});

t.test('named plans', async (t) => {
  const formatsOf = (name: string) => [...resolvePlan(namedPlans[name]!, tensors, name).values()];
  t.strictSame(Object.keys(namedPlans), ['int8', 'int4', 'int4-head8', 'int16', 'mixed8']);
  t.strictSame(formatsOf('int8'), ['w8', 'w8', 'w8', 'w8', 'w8']);
  t.strictSame(formatsOf('int4'), ['w4', 'w4', 'w4', 'w4', 'w4']);
  t.strictSame(formatsOf('int4-head8'), ['w8', 'w4', 'w4', 'w4', 'w4'], 'the tied embedding is the head');
  t.strictSame(formatsOf('int16'), ['w16', 'w16', 'w16', 'w16', 'w16']);
  t.strictSame(formatsOf('mixed8'), ['w16', 'w8', 'w8', 'w8', 'w8']);
});
