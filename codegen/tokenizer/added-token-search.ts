import { isWhiteSpace } from './character-classes.js';
import type { AddedToken } from './tokenizer.js';
import { codePointAt } from './utf8.js';

/** An added token in a text: [start, stop) with the white space that belongs to it. */
export interface AddedTokenMatch {
  readonly id: number;
  readonly start: number;
  readonly stop: number;
}

/** Finds the leftmost added token of a text, the longest of those that start at one place. */
export class AddedTokenSearch {
  private readonly tokens: readonly AddedToken[];
  /** 1 for bytes that some token starts with. */
  private readonly firstBytes = new Uint8Array(256);

  /** tokens: longest first. */
  constructor(tokens: readonly AddedToken[]) {
    this.tokens = tokens;
    for (const { content } of tokens) this.firstBytes[content[0]] = 1;
  }

  /** The first match in text[from, end), or null. */
  find(text: Uint8Array, from: number, end: number): AddedTokenMatch | null {
    if (this.tokens.length === 0) return null;
    let spaceStart = from; // where the white space before `at` begins
    for (let at = from; at < end; ) {
      if (this.firstBytes[text[at]] === 1) {
        const token = this.tokens.find(({ content }) => startsWith(text, at, end, content));
        if (token) return this.strip(token, text, spaceStart, at, end);
      }
      const found = codePointAt(text, at, end);
      at += found & 7;
      if (!isWhiteSpace(found >> 3)) spaceStart = at;
    }
    return null;
  }

  private strip(
    token: AddedToken,
    text: Uint8Array,
    spaceStart: number,
    at: number,
    end: number,
  ): AddedTokenMatch {
    let stop = at + token.content.length;
    while (token.stripRight && stop < end) {
      const found = codePointAt(text, stop, end);
      if (!isWhiteSpace(found >> 3)) break;
      stop += found & 7;
    }
    return { id: token.id, start: token.stripLeft ? spaceStart : at, stop };
  }
}

function startsWith(text: Uint8Array, at: number, end: number, content: Uint8Array): boolean {
  if (content.length > end - at) return false;
  for (let i = 0; i < content.length; i++) if (text[at + i] !== content[i]) return false;
  return true;
}
