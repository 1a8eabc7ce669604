import fc from 'fast-check';
import t from 'tap';
import { findStructuralFault } from '../../../codegen/checkpoint/structural-fault.js';

t.test(
  'a key that stands twice in one object is found at any depth, also when one of them is escaped',
  (t) => {
    t.equal(findStructuralFault('{"a":1,"b":2,"a":3}'), 'key "a" stands twice');
    t.equal(findStructuralFault('{"x":[{"a":1},{"b":{"c":1,"d":[],"c":2}}]}'), 'key "c" stands twice');
    t.equal(findStructuralFault(String.raw`{"a":1,"\u0061":2}`), 'key "a" stands twice');
    t.equal(
      findStructuralFault(String.raw`{"q\"":{"a":[1,2]},"a":{},"q\"":0}`),
      String.raw`key "q\"" stands twice`,
    );
    t.end();
  },
);

t.test('equal keys of different objects, and strings that are values, are no duplicates', (t) => {
  t.equal(findStructuralFault('{"a":{"a":{"a":1}},"b":{"a":2},"c":["a","a",{"a":"a"}],"d":"a"}'), null);
  t.equal(findStructuralFault(String.raw`{"a":"{\"b\":1,\"b\":2}","c":"\\"}`), null);
  t.equal(findStructuralFault('[]'), null);
  t.end();
});

t.test('whatever JSON.stringify writes has none, and has one with a key repeated', (t) => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 8 }), { minKeys: 1 }), (object) => {
      const text = JSON.stringify(object, null, 1);
      const key = Object.keys(object).at(-1)!;
      const twice = `${text.slice(0, -2)},\n${JSON.stringify(key)}: null}`;
      return (
        findStructuralFault(text) === null &&
        findStructuralFault(twice) === `key ${JSON.stringify(key)} stands twice`
      );
    }),
    { seed: 2, numRuns: 500 },
  );
  t.end();
});

t.test('nesting is bounded', (t) => {
  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  t.equal(findStructuralFault(nested(64)), null);
  t.equal(findStructuralFault(nested(65)), 'nested more than 64 deep');
  t.equal(findStructuralFault(`{"a":${nested(1_000_000)}}`), 'nested more than 64 deep');
  t.end();
});
