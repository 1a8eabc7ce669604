/** Writes tokenizer.model files. */
import { characterTokenizer } from './synthetic-tokenizers.js';

/** A message of protocol buffers, field by field. */
function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

const nested = (field: number, content: Uint8Array) =>
  Buffer.concat([Buffer.from([...varint(field * 8 + 2), ...varint(content.length)]), content]);
const number = (field: number, value: number) => Buffer.from([...varint(field * 8), ...varint(value)]);

export interface SavedPiece {
  readonly text: string | Uint8Array;
  readonly score: number;
  readonly type: number;
}

export function writeSentencePiece(
  pieces: readonly SavedPiece[],
  options: {
    readonly type?: number;
    readonly characterMap?: Uint8Array;
    readonly extraSpaces?: boolean;
    readonly spacesBehind?: boolean;
    readonly parts?: string;
  } = {},
): { bytes: Buffer; boundaries: number[] } {
  const { type = 2, characterMap = new Uint8Array(0), extraSpaces = false, parts = 'ptn' } = options;
  const { spacesBehind = false } = options;
  const list: Buffer[] = [];
  if (parts.includes('p')) {
    for (const { text, score, type } of pieces) {
      const value = Buffer.alloc(4);
      value.writeFloatLE(score);
      const content = [
        nested(1, Buffer.from(text)),
        Buffer.from([2 * 8 + 5]),
        value,
        ...(type === 1 ? [] : [number(3, type)]),
      ];
      list.push(nested(1, Buffer.concat(content)));
    }
  }
  if (parts.includes('t'))
    list.push(
      nested(
        2,
        Buffer.concat([number(3, type), number(24, spacesBehind ? 1 : 0), number(40, 0), number(41, 1)]),
      ),
    );
  const normalizer = [
    nested(1, Buffer.from('identity')),
    nested(2, characterMap),
    number(3, 1),
    number(4, extraSpaces ? 1 : 0),
  ];
  if (parts.includes('n')) list.push(nested(3, Buffer.concat(normalizer)));
  const boundaries: number[] = [];
  let at = 0;
  for (const part of list) {
    boundaries.push(at, at + 1, at + 2);
    at += part.length;
  }
  return { bytes: Buffer.concat(list), boundaries };
}

/** The pieces of a synthetic tokenizer.json over characters: a merge of rank r has score -r. */
export function syntheticPieces(): SavedPiece[] {
  const { model } = characterTokenizer() as {
    model: { vocab: Record<string, number>; merges: [string, string][] };
  };
  const rank = new Map(model.merges.map(([left, right], i) => [left + right, i]));
  // By id: keys that look like numbers come first in an object.
  const inOrder = Object.entries(model.vocab).sort(([, a], [, b]) => a - b);
  return inOrder.map(([text]) => {
    const type = text === '<unk>' ? 2 : /^<\/?s>$/.test(text) ? 3 : /^<0x..>$/.test(text) ? 6 : 1;
    return { text, score: -(rank.get(text) ?? 1000), type };
  });
}
