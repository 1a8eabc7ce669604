/** The normalization that SentencePiece compiles into a vocabulary: strings of characters and what they become. */
import { EmbedError } from '../diagnostics/error.js';
import { codePointAt } from './utf8.js';

/** Far above any map there is: that of nmt_nfkc has 300,000 bytes. */
const mostMapBytes = 2 ** 24;
/** Bytes that a byte of text may become; em_tokenizer.h counts on it. */
export const mostGrowth = 15;

const hasLeaf = 0x100;
const labelBits = 0x800000ff;

/**
 * A map of strings: at each place of a text the longest of its strings that stands there is replaced, characters that start
 * none stay. Its strings are a double array (Aoe 1989; the layout of darts-clone): the step from node n by byte c goes to n ^ c,
 * where the low byte must be c; a unit with bit 8 has a value, the start in `texts` of what the string becomes, which a zero ends.
 */
export class CharacterMap {
  private constructor(
    readonly units: Uint32Array,
    readonly texts: Uint8Array,
    /** Bytes that a byte of text becomes, at most. */
    readonly growth: number,
  ) {}

  /**
   * Reads the precompiled_charsmap of a tokenizer.json or tokenizer.model: u32 bytes of the double array, the double array,
   * the texts; null for an empty one. Throws EM1108 where it is damaged or makes text grow more than 15 times.
   */
  static parse(bytes: Uint8Array, where: string): CharacterMap | null {
    if (bytes.length === 0) return null;
    const refuse = (why: string) => new EmbedError('EM1108', { where, why: `precompiled_charsmap ${why}` });
    if (bytes.length < 8 || bytes.length > mostMapBytes) throw refuse(`has ${bytes.length} bytes`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const unitBytes = view.getUint32(0, true);
    if (unitBytes === 0 || unitBytes % 4 !== 0 || unitBytes > bytes.length - 4) {
      throw refuse(`has a double array of ${unitBytes} bytes in ${bytes.length}`);
    }
    const units = Uint32Array.from({ length: unitBytes / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
    const texts = bytes.slice(4 + unitBytes);
    return new CharacterMap(units, texts, growthOf(units, texts, refuse));
  }

  /** The text with every string replaced. */
  apply(text: Uint8Array): Uint8Array {
    const out = new Uint8Array(text.length * this.growth);
    let used = 0;
    for (let at = 0; at < text.length; ) {
      const found = this.longest(text, at);
      const end = found?.end ?? at + (codePointAt(text, at, text.length) & 7);
      const bytes = found?.text ?? text.subarray(at, end);
      out.set(bytes, used);
      used += bytes.length;
      at = end;
    }
    return out.subarray(0, used);
  }

  private longest(text: Uint8Array, start: number): { end: number; text: Uint8Array } | null {
    let found: { end: number; text: Uint8Array } | null = null;
    let node = offsetOf(this.units[0]!);
    for (let at = start; at < text.length && text[at] !== 0; at++) {
      node ^= text[at]!;
      const unit = this.units[node];
      if (unit === undefined || (unit & labelBits) >>> 0 !== text[at]) break;
      node ^= offsetOf(unit);
      if ((unit & hasLeaf) === 0) continue;
      const from = (this.units[node] ?? 0) & 0x7fffffff;
      const end = this.texts.indexOf(0, from);
      found = { end: at + 1, text: this.texts.subarray(from, end < 0 ? this.texts.length : end) };
    }
    return found;
  }
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

/**
 * How much a byte of text grows by at most. Strings share their ends, so there may be more of them than could be listed: of all
 * that come to a node only the shortest counts, which is the first in a breadth-first search.
 */
function growthOf(units: Uint32Array, texts: Uint8Array, refuse: (why: string) => EmbedError): number {
  let growth = 1;
  const seen = new Set<number>();
  let level = [offsetOf(units[0]!)];
  for (let length = 1; level.length > 0; length++) {
    const below: number[] = [];
    for (const node of level) {
      for (let byte = 1; byte < 256; byte++) {
        const unit = units[node ^ byte];
        if (unit === undefined || (unit & labelBits) >>> 0 !== byte) continue;
        const child = node ^ byte ^ offsetOf(unit);
        if (seen.has(child)) continue;
        seen.add(child);
        below.push(child);
        if ((unit & hasLeaf) === 0) continue;
        const from = (units[child] ?? 0x7fffffff) & 0x7fffffff;
        const end = texts.indexOf(0, from);
        if (from >= texts.length || end < 0) throw refuse(`has a text at ${from} of ${texts.length}`);
        growth = Math.max(growth, Math.ceil((end - from) / length));
      }
    }
    level = below;
  }
  if (growth > mostGrowth) throw refuse(`makes ${growth} bytes of one`);
  return growth;
}
