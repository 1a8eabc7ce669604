import fc from 'fast-check';
import t from 'tap';
import { ngramRepetition } from '../../../codegen/accept/ngram-repetition.js';

t.test('by hand', async (t) => {
  t.equal(ngramRepetition([1, 2, 3, 4], 2), 0, 'nothing twice');
  t.equal(ngramRepetition([7, 7, 7, 7, 7], 2), 1 - 1 / 4, 'one bigram four times');
  t.equal(ngramRepetition([1, 2, 1, 2, 1], 2), 1 - 2 / 4, '12 21 12 21');
  t.equal(ngramRepetition([1, 2, 3, 1, 2, 3], 3), 1 - 3 / 4);
  t.equal(ngramRepetition([1, 11, 1, 11], 1), 1 / 2, 'ids, not digits');
  t.equal(ngramRepetition([1, 2], 3), 0, 'shorter than an n-gram');
  t.equal(ngramRepetition([], 1), 0);
});

t.test(
  'in [0, 1), lower for longer n-grams of the same text, 0 exactly where all n-grams differ',
  async () => {
    const ids = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(ids, fc.integer({ min: 1, max: 5 }), (text, n) => {
        const share = ngramRepetition(text, n);
        const all = Math.max(0, text.length - n + 1);
        let repeated = 0; // counted from behind: how many n-grams have an equal one before them
        for (let i = 0; i < all; i++) {
          for (let j = 0; j < i; j++) {
            if (text.slice(i, i + n).every((id, k) => id === text[j + k])) {
              repeated++;
              break;
            }
          }
        }
        return Math.abs(share - (all === 0 ? 0 : repeated / all)) < 1e-12;
      }),
    );
  },
);
