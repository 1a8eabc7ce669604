import { isWhiteSpace } from './character-classes.js';
import { codePointAt } from './utf8.js';

/** What happens to white space before a text is cut into pieces. */
export interface SpaceRules {
  readonly trimsLeft: boolean;
  readonly trimsRight: boolean;
  /** What is trimmed: all white space, else spaces (U+0020) alone. */
  readonly trimsWhite: boolean;
  /** Runs that become one space: of spaces, or of any white space. */
  readonly collapses: 'nothing' | 'spaces' | 'white';
  /** U+2581, which stands for a space in the vocabulary, is read as one. */
  readonly readsMark: boolean;
}

/** White space stays as it is. */
export const spacesKept: SpaceRules = {
  trimsLeft: false,
  trimsRight: false,
  trimsWhite: false,
  collapses: 'nothing',
  readsMark: false,
};

const space = 0x20;
const spaceMark = 0x2581;

/** The text with white space as the rules have it; never longer. */
export function settleSpaces(rules: SpaceRules, text: Uint8Array): Uint8Array {
  const out = new Uint8Array(text.length);
  let kept = 0;
  let end = 0; // behind the last character that is not trimmed
  let inRun = false;
  for (let at = 0, next = 0; at < text.length; at = next) {
    const found = codePointAt(text, at, text.length);
    const code = found >> 3;
    next = at + (found & 7);
    const white = isWhiteSpace(code);
    const trimmed = rules.trimsWhite ? white : code === space;
    if (trimmed && rules.trimsLeft && end === 0) continue;
    const collapsed = rules.collapses === 'white' ? white : rules.collapses === 'spaces' && code === space;
    if (collapsed) {
      if (!inRun) out[kept++] = space;
    } else if (rules.readsMark && code === spaceMark) {
      // A run of white space only parts words: before a mark the mark alone is the space.
      if (inRun && rules.collapses === 'white') kept--;
      out[kept++] = space;
    } else {
      out.set(text.subarray(at, next), kept);
      kept += next - at;
    }
    inRun = collapsed;
    if (!trimmed) end = kept;
  }
  return out.subarray(0, rules.trimsRight ? end : kept);
}
