/** Unigram vocabularies, made of the frequent parts of words of a text, and character maps. */

type Json = Record<string, unknown>;

const special = ['<unk>', '<s>', '</s>'];

/** Tokens and scores as T5's: specials first, every character, and the parts of words that save most. Scores are float32. */
export function unigramVocabulary(text: string, size: number, bytes: boolean): [string, number][] {
  const counts = new Map<string, number>();
  const characters = new Set(['▁']);
  for (const word of text.split(/\s+/u)) {
    const letters = ['▁', ...word.replaceAll('▁', '')];
    for (const letter of letters) characters.add(letter);
    for (let from = 0; from < letters.length; from++) {
      for (let to = from + 2; to <= Math.min(letters.length, from + 8); to++) {
        const part = letters.slice(from, to).join('');
        counts.set(part, (counts.get(part) ?? 0) + 1);
      }
    }
  }
  const byteTokens = bytes ? Array.from({ length: 256 }, (_, byte) => byteToken(byte)) : [];
  const fixed = [...special, ...byteTokens];
  const gain = ([part, count]: readonly [string, number]) => count * (part.length - 1);
  const parts = [...counts]
    .sort((a, b) => gain(b) - gain(a) || (a[0] < b[0] ? -1 : 1))
    .slice(0, size - fixed.length - characters.size);
  const total = parts.reduce((sum, [, count]) => sum + count, 0);
  const score = (count: number) => Math.fround(Math.log(count / total));
  return [
    ...fixed.map((token): [string, number] => [token, 0]),
    ...parts.map(([part, count]): [string, number] => [part, score(count)]),
    ...[...characters].map((letter, i): [string, number] => [letter, score(1) - Math.fround(i / 64)]),
  ];
}

function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
}

/** The tokenizer.json that Hugging Face makes of such a vocabulary; `components` replace its parts. */
export function unigramTokenizer(
  vocab: readonly (readonly [string, number])[],
  components: Json = {},
  settings: Json = {},
): Json {
  const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true };
  const strip = { type: 'Strip', strip_left: false, strip_right: true };
  const replace = { type: 'Replace', pattern: { Regex: ' {2,}' }, content: '▁' };
  return {
    version: '1.0',
    added_tokens: special.map((content, id) => ({ id, content, special: true, normalized: false })),
    normalizer: { type: 'Sequence', normalizers: [strip, replace] },
    pre_tokenizer: metaspace,
    post_processor: null,
    decoder: metaspace,
    model: { type: 'Unigram', unk_id: 0, vocab, byte_fallback: false, ...settings },
    ...components,
  };
}

/** As T5's was published: words are what white space parts. */
export const whitespaceSplit: Json = {
  normalizer: null,
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'WhitespaceSplit' },
      { type: 'Metaspace', replacement: '▁', add_prefix_space: true },
    ],
  },
};

interface Node {
  readonly next: Map<number, Node>;
  value: number;
}

/** A precompiled_charsmap of these replacements: a trie as a double array, its nodes put where they first fit. */
export function characterMapOf(replacements: Readonly<Record<string, string>>): Buffer {
  const texts: Buffer[] = [];
  const root: Node = { next: new Map(), value: -1 };
  for (const [from, to] of Object.entries(replacements)) {
    let node = root;
    for (const byte of Buffer.from(from)) {
      const next: Node = node.next.get(byte) ?? { next: new Map(), value: -1 };
      node.next.set(byte, next);
      node = next;
    }
    node.value = texts.reduce((sum, text) => sum + text.length, 0);
    texts.push(Buffer.from(`${to}\0`));
  }
  const units = new Map<number, number>([[0, 0]]);
  placeNode(root, 0, units, new Set());
  const array = Buffer.alloc(4 * (Math.max(...units.keys()) + 1));
  for (const [at, unit] of units) array.writeUInt32LE(unit, 4 * at);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(array.length);
  return Buffer.concat([size, array, ...texts]);
}

/** A node at `base` has its value at base and its children at base ^ byte; the unit at `at` leads to it. */
function placeNode(node: Node, at: number, units: Map<number, number>, bases: Set<number>): void {
  const wanted = [...node.next.keys(), ...(node.value < 0 ? [] : [0])];
  let base = 256;
  while (bases.has(base) || wanted.some((byte) => units.has(base ^ byte))) base++;
  bases.add(base);
  for (const byte of wanted) units.set(base ^ byte, byte === 0 ? (node.value | 0x80000000) >>> 0 : byte);
  const leaf = node.value < 0 ? 0 : 0x100;
  units.set(at, ((units.get(at)! & 0xff) | ((base ^ at) << 10) | leaf) >>> 0);
  for (const [byte, child] of node.next) placeNode(child, base ^ byte, units, bases);
}
