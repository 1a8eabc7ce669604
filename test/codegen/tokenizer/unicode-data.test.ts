import fc from 'fast-check';
import t from 'tap';
import {
  characterClass,
  characterClassTable,
  classOf,
  isWhiteSpace,
} from '../../../codegen/tokenizer/character-classes.js';
import { nfcGrowth, normalizeNfc } from '../../../codegen/tokenizer/normalization.js';
import { unicodeVersion } from '../../../codegen/tokenizer/unicode-data.js';
import { codePointAt, putCodePoint, utf8 } from '../../../codegen/tokenizer/utf8.js';

/**
 * Code points that this Node has no character for may have become one in the data, or the other way round.
 */
const sameUnicode = {
  skip: process.versions.unicode !== unicodeVersion && `Unicode ${process.versions.unicode} here`,
};

function* codePoints(): Generator<number> {
  for (let code = 0; code <= 0x10ffff; code++) if (code < 0xd800 || code > 0xdfff) yield code;
}

t.test('classes are those of the Unicode properties', sameUnicode, async (t) => {
  const wrong: string[] = [];
  for (const code of codePoints()) {
    const char = String.fromCodePoint(code);
    const expected = /\p{White_Space}/u.test(char)
      ? characterClass.space
      : /\p{L}/u.test(char)
        ? characterClass.letter
        : /\p{N}/u.test(char)
          ? characterClass.number
          : characterClass.other;
    if (classOf(code) !== expected || isWhiteSpace(code) !== (expected === characterClass.space))
      wrong.push(char);
  }
  t.same(wrong, []);
  t.ok(characterClassTable.pages.length / 64 <= 256, 'a page fits a byte');
});

t.test('every character normalizes as in Node', sameUnicode, async (t) => {
  const wrong: string[] = [];
  for (const code of codePoints()) {
    const char = String.fromCodePoint(code);
    for (const text of [char, char.normalize('NFD')]) {
      const expected = utf8(text.normalize('NFC'));
      const bytes = utf8(text);
      if (Buffer.compare(normalizeNfc(bytes), expected) !== 0 || expected.length > nfcGrowth * bytes.length)
        wrong.push(text);
    }
  }
  t.same(wrong, []);
});

t.test('texts of marks, Hangul and composites normalize as in Node', sameUnicode, async () => {
  const unit = fc.oneof(
    fc.constantFrom(...'aeoqAEOIсеêÅṩΩ'),
    fc.constantFrom(
      ...'\u0300\u0301\u0307\u0308\u0315\u0323\u0327\u0328\u0334\u0344\u0345\u05ae\u05b0\u3099',
    ),
    fc.integer({ min: 0x1100, max: 0x11ff }).map((code) => String.fromCodePoint(code)),
    fc.integer({ min: 0xac00, max: 0xd7a3 }).map((code) => String.fromCodePoint(code)),
    fc.integer({ min: 0x0900, max: 0x0d7f }).map((code) => String.fromCodePoint(code)),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  );
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 40 }), (text) => {
      return Buffer.compare(normalizeNfc(utf8(text)), utf8(text.normalize('NFC'))) === 0;
    }),
    { numRuns: 3000, seed: 60 },
  );
});

t.test('UTF-8 is read as the Encoding standard reads it, damaged bytes apart', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 6 }), (bytes) => {
      const found = codePointAt(bytes, 0, bytes.length);
      const length = found & 7;
      const out = new Uint8Array(4);
      const written = putCodePoint(out, 0, found >> 3);
      const same =
        written === length && Buffer.compare(out.subarray(0, written), bytes.subarray(0, length)) === 0;
      if (found >> 3 < 0x110000)
        return same && decoder.decode(bytes.subarray(0, length)).codePointAt(0) === found >> 3;
      // No prefix of the bytes is a character.
      return same && [1, 2, 3, 4].every((n) => n > bytes.length || !isText(bytes.subarray(0, n)));
    }),
    { numRuns: 20_000, seed: 61 },
  );
});

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function isText(bytes: Uint8Array): boolean {
  try {
    decoder.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
