import fc from 'fast-check';
import t from 'tap';
import { nearestName } from '../../../codegen/diagnostics/nearest-name.js';

const names = ['x86_64-avx2', 'cortex-a72', 'riscv-u74', 'riscv-u74-zb', 'a72', 'u74'];

t.test('mistyped words', async (t) => {
  const meant: readonly (readonly [string, string])[] = [
    ['cortex-a27', 'cortex-a72'],
    ['Cortex-A72', 'cortex-a72'],
    ['cortexa72', 'cortex-a72'],
    ['riscv-u47', 'riscv-u74'],
    ['riscv-u74zb', 'riscv-u74-zb'],
    ['x86_64-avx', 'x86_64-avx2'],
    ['x86-64-avx2', 'x86_64-avx2'],
    ['a73', 'a72'],
  ];
  for (const [word, name] of meant) {
    t.equal(nearestName(word, names), name, word);
  }
});

t.test('words that mean nothing', async (t) => {
  for (const word of ['', 'sparc', 'zzzzzzzzzz', 'x'.repeat(100_000)]) {
    t.equal(nearestName(word, names), undefined, word.slice(0, 20));
  }
  t.equal(nearestName('a72', []), undefined);
});

t.test('one wrong letter is always forgiven', async () => {
  const word = fc.stringMatching(/^[a-z]{3,20}$/);
  fc.assert(
    fc.property(word, fc.nat(), (name, position) => {
      const at = position % name.length;
      const typo = `${name.slice(0, at)}#${name.slice(at + 1)}`;
      return nearestName(typo, [name]) === name;
    }),
  );
});
