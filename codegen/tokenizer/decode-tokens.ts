import type { TokenizerModel } from './tokenizer.js';

/**
 * Turns token ids into text one by one, as em_detokenize does: bytes that wait for the rest of their
 * character come with a later token, bytes that can never become a character come out as U+FFFD (one for each
 * maximal part of a sequence, as in the Encoding standard), special tokens add nothing.
 */
export class TextDecoding {
  private readonly model: TokenizerModel;
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  private started = false;

  constructor(model: TokenizerModel) {
    this.model = model;
  }

  /** The text that a token adds. id: below model.vocabSize. */
  write(id: number): string {
    if (id < 0 || id >= this.model.vocabSize) throw new RangeError(`token ${id} is outside the vocabulary`);
    if (this.model.silent[id] === 1) return '';
    return this.strip(this.decoder.decode(this.model.text[id], { stream: true }));
  }

  /** What is still pending at the end. */
  end(): string {
    return this.strip(this.decoder.decode());
  }

  private strip(text: string): string {
    const first = !this.started && text.length > 0;
    this.started ||= first;
    return first && this.model.stripFirstSpace && text.startsWith(' ') ? text.slice(1) : text;
  }
}

/** The text of a sequence of ids. */
export function decodeTokens(model: TokenizerModel, ids: Iterable<number>): string {
  const decoding = new TextDecoding(model);
  const parts: string[] = [];
  for (const id of ids) parts.push(decoding.write(id));
  parts.push(decoding.end());
  return parts.join('');
}
