import { BoundedFile } from '../checkpoint/bounded-file.js';
import { EmbedError } from '../diagnostics/error.js';
import type { TokenizerModel } from '../tokenizer/tokenizer.js';
import { mergeClosure } from './kept-tokens.js';
import { prunedTokenizer } from './pruned-tokenizer.js';

const mostBytes = 2 ** 26;

/**
 * The tokenizer of a model whose rows are some of the tokens of `full`, in the order that a file lists: numbers, or objects with `id`
 * and perhaps `b64`, the bytes of the token. Tokens that others are merged from, but that have no row, are passed through: a
 * text that the full vocabulary encodes by listed tokens alone gets their new ids, another one may be refused (EM1112). Throws EM1102
 * for a file of another form, EM1105 for another number of tokens, EM1106 for tokens that are not those of `full`.
 */
export function restrictedTokenizer(full: TokenizerModel, path: string, vocabSize: number): TokenizerModel {
  const ids = readIds(path, full);
  if (ids.length !== vocabSize) {
    const why = `lists ${ids.length} tokens, the embedding has ${vocabSize} rows`;
    throw new EmbedError('EM1105', { where: path, why });
  }
  const listed = new Set(ids);
  const passed = mergeClosure(full, ids).filter((id) => !listed.has(id));
  const all = prunedTokenizer(full, Int32Array.from([...ids, ...passed]));
  return { ...all, source: path, vocabSize, passing: passed.length };
}

function readIds(path: string, full: TokenizerModel): number[] {
  const damaged = (why: string) => new EmbedError('EM1102', { where: path, why });
  const wrong = (why: string) => new EmbedError('EM1106', { where: path, why });
  const entries = parseList(path, damaged);
  const seen = new Set<number>();
  return entries.map((entry, row) => {
    const { id, b64 } =
      typeof entry === 'object' && entry !== null ? (entry as Record<string, unknown>) : { id: entry };
    if (typeof id !== 'number' || !Number.isInteger(id))
      throw damaged(`entry ${row} is no number and has no id`);
    if (id < 0 || id >= full.vocabSize || seen.has(id)) {
      throw wrong(
        `entry ${row} names token ${id}: twice, or not one of the ${full.vocabSize} of ${full.source}`,
      );
    }
    seen.add(id);
    if (typeof b64 === 'string' && Buffer.compare(Buffer.from(b64, 'base64'), full.text[id]!) !== 0) {
      throw wrong(`entry ${row} has other bytes than token ${id} of ${full.source}`);
    }
    return id;
  });
}

function parseList(path: string, damaged: (why: string) => EmbedError): readonly unknown[] {
  const file = BoundedFile.open(path);
  try {
    if (file.size > mostBytes) throw damaged(`has ${file.size} bytes; at most ${mostBytes} are read`);
    const bytes = new Uint8Array(file.size);
    file.read(0, bytes);
    const list: unknown = JSON.parse(Buffer.from(bytes).toString());
    if (!Array.isArray(list)) throw damaged('is not a JSON array');
    return list;
  } catch (cause) {
    if (cause instanceof EmbedError) throw cause;
    throw damaged('is not JSON');
  } finally {
    file.close();
  }
}
