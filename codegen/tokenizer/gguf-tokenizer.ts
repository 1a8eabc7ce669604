/** The vocabulary that a GGUF file brings in its metadata. */
import { BoundedFile } from '../checkpoint/bounded-file.js';
import { type GgufFile, type GgufValue, readGguf } from '../checkpoint/gguf/read-gguf.js';
import { EmbedError } from '../diagnostics/error.js';
import { CharacterMap } from './character-map.js';
import { JsonSection } from './json-section.js';
import { cl100kExpression } from './pre-tokenizer.js';
import { pieceType, scoredTokenizer } from './scored-tokenizer.js';
import type { TokenizerModel } from './tokenizer.js';
import { tokenizerOf } from './tokenizer-json.js';
import { byteLevelJson } from './vocab-merges.js';

const byteLevel = { type: 'ByteLevel', add_prefix_space: false, use_regex: true };

function splitBy(digits: '' | '{1,3}'): unknown {
  const pattern = { Regex: cl100kExpression(digits) };
  return {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern, behavior: 'Isolated', invert: false },
      { ...byteLevel, use_regex: false },
    ],
  };
}

/** tokenizer.ggml.pre as the pre-tokenizer of a tokenizer.json. */
const preTokenizers: Readonly<Record<string, unknown>> = {
  'gpt-2': byteLevel,
  'llama-bpe': splitBy('{1,3}'),
  llama3: splitBy('{1,3}'),
  qwen2: splitBy(''),
  smollm: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel] },
};

/** Architectures whose files from before tokenizer.ggml.pre existed can only mean one pre-tokenizer. */
const oldFiles: Readonly<Record<string, string>> = { gpt2: 'gpt-2' };

/**
 * Reads tokenizer.ggml.*: "gpt2" (byte-level BPE with merges) "llama" (SentencePiece's BPE with scores) or "t5" (its Unigram); null where
 * the file has no vocabulary. vocabSize: rows of the embedding. Throws EM1102, EM1103 (other models), EM1104 (other
 * pre-tokenizers), EM1105 to EM1107.
 */
export function openGgufTokenizer(path: string, vocabSize: number): TokenizerModel | null {
  const file = BoundedFile.open(path);
  try {
    const { metadata } = readGguf(file);
    const model = metadata.get('tokenizer.ggml.model');
    if (model === undefined || model === 'none' || model === 'no_vocab') return null;
    const vocabulary = new GgufVocabulary(path, metadata);
    if (model === 'llama') return vocabulary.scored(vocabSize, 'merge');
    if (model === 't5') return vocabulary.scored(vocabSize, 'unigram');
    if (model === 'gpt2') return vocabulary.byteLevel(vocabSize);
    const why = `tokenizer.ggml.model is ${String(model).slice(0, 80)}; supported: gpt2, llama, t5`;
    throw new EmbedError('EM1103', { where: path, why });
  } finally {
    file.close();
  }
}

class GgufVocabulary {
  private readonly tokens: readonly Uint8Array[];
  private readonly types: readonly number[] | null;

  constructor(
    private readonly path: string,
    private readonly metadata: GgufFile['metadata'],
  ) {
    const tokens = this.texts('tokens');
    if (tokens === null) throw this.malformed('tokens', 'an array of texts');
    this.tokens = tokens;
    this.types = this.numbers('token_type');
  }

  scored(vocabSize: number, by: 'merge' | 'unigram'): TokenizerModel {
    const scores = this.numbers('scores');
    if (scores === null || this.types === null)
      throw this.malformed('scores', 'beside token_type, for a llama vocabulary');
    const types = this.types;
    const pieces = this.tokens.map((bytes, id) => {
      const [score, type] = [scores[id]!, types[id]!];
      if (Number.isNaN(score)) throw this.malformed('scores', 'numbers');
      if (!Number.isInteger(type) || type < 1 || type > 6)
        throw this.malformed('token_type', 'numbers from 1 to 6');
      return { bytes, score, type };
    });
    return scoredTokenizer(pieces, {
      source: this.path,
      vocabSize,
      bosId: this.bosId(true),
      prefixSpace: this.flag('add_space_prefix', true),
      by,
      characterMap: CharacterMap.parse(this.characterMapBytes(), this.path),
      removesExtraSpaces: this.flag('remove_extra_whitespaces', false),
    });
  }

  byteLevel(vocabSize: number): TokenizerModel {
    const texts = this.tokens.map((bytes) => Buffer.from(bytes).toString('utf8'));
    const entries = texts.map((text, id) => [text, id] as const);
    const vocab = Object.fromEntries(entries);
    if (Object.keys(vocab).length !== texts.length) {
      throw new EmbedError('EM1106', {
        where: this.path,
        why: 'two tokens of tokenizer.ggml.tokens are the same',
      });
    }
    const special = entries.filter((_, id) => this.types?.[id] === pieceType.control);
    const merges = (this.texts('merges') ?? []).map((bytes) => Buffer.from(bytes).toString('utf8'));
    const root = byteLevelJson(
      vocab,
      merges,
      special.map(([content, id]) => ({ content, id })),
      this.preTokenizer(),
      { ignore_merges: this.preName() === 'llama-bpe' || this.preName() === 'llama3' },
    );
    const normalizer = this.preName() === 'qwen2' ? { type: 'NFC' } : null;
    const section = new JsonSection(this.path, 'tokenizer.ggml', { ...root, normalizer });
    return { ...tokenizerOf(section, null, vocabSize), bosId: this.bosId(false) };
  }

  private characterMapBytes(): Uint8Array {
    const bytes = this.get('precompiled_charsmap') ?? [];
    const isBytes = (x: unknown) => typeof x === 'number' && Number.isInteger(x) && x >= -128 && x < 256;
    if (!Array.isArray(bytes) || !bytes.every(isBytes)) throw this.malformed('precompiled_charsmap', 'bytes');
    return Uint8Array.from(bytes as readonly number[]);
  }

  private preName(): string {
    const pre = this.metadata.get('tokenizer.ggml.pre');
    const architecture = this.metadata.get('general.architecture');
    const byArchitecture = typeof architecture === 'string' ? oldFiles[architecture] : undefined;
    if (pre !== undefined && pre !== 'default') return String(pre);
    return byArchitecture ?? String(pre ?? 'absent');
  }

  private preTokenizer(): unknown {
    const name = this.preName();
    if (Object.hasOwn(preTokenizers, name)) return preTokenizers[name];
    const why = `tokenizer.ggml.pre is ${name.slice(0, 80)}; supported: ${Object.keys(preTokenizers).join(', ')}`;
    throw new EmbedError('EM1104', { where: this.path, why });
  }

  private bosId(byDefault: boolean): number | null {
    const id = this.metadata.get('tokenizer.ggml.bos_token_id');
    if (!this.flag('add_bos_token', byDefault) || id === undefined) return null;
    if (typeof id !== 'number' || id >= this.tokens.length)
      throw this.malformed('bos_token_id', 'the id of a token');
    return id;
  }

  private flag(key: string, byDefault: boolean): boolean {
    const value = this.get(key) ?? byDefault;
    if (typeof value !== 'boolean') throw this.malformed(key, 'true or false');
    return value;
  }

  private numbers(key: string): readonly number[] | null {
    const value = this.get(key);
    if (value === undefined) return null;
    const usable =
      Array.isArray(value) &&
      value.length === this.tokens.length &&
      value.every((x) => typeof x === 'number');
    if (!usable) throw this.malformed(key, `${this.tokens.length} numbers, one a token`);
    return value as readonly number[];
  }

  private texts(key: string): readonly Uint8Array[] | null {
    const value = this.get(key);
    if (value === undefined) return null;
    if (!Array.isArray(value) || !value.every((item) => item instanceof Uint8Array)) {
      throw this.malformed(key, 'an array of texts');
    }
    return value as readonly Uint8Array[];
  }

  private get(key: string): GgufValue | undefined {
    return this.metadata.get(`tokenizer.ggml.${key}`);
  }

  private malformed(key: string, expected: string): EmbedError {
    const found = Array.isArray(this.get(key))
      ? 'another list'
      : String(this.get(key) ?? 'absent').slice(0, 80);
    const why = `tokenizer.ggml.${key} is ${found}; expected: ${expected}`;
    return new EmbedError('EM1102', { where: this.path, why });
  }
}
