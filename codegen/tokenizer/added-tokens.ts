import { EmbedError } from '../diagnostics/error.js';
import { requireId } from './bpe-vocabulary.js';
import { type JsonSection, quoted } from './json-section.js';
import type { NormalizerSettings } from './pipeline-settings.js';
import type { AddedToken } from './tokenizer.js';
import { utf8 } from './utf8.js';

export interface AddedTokens {
  /** Longest content first, then by id. */
  readonly tokens: readonly AddedToken[];
  /** Content as the file has it, by id. */
  readonly contentOf: ReadonlyMap<number, string>;
}

/**
 * The added_tokens of a tokenizer.json. Throws EM1105 for ids beyond the embedding, EM1106 for tokens that
 * contradict the vocabulary or each other, EM1111 for settings that are not supported.
 */
export function readAddedTokens(
  root: JsonSection,
  vocabSize: number,
  idOf: ReadonlyMap<string, number>,
  normalizer: Pick<NormalizerSettings, 'nfc' | 'replacesSpaces' | 'characterMap'>,
): AddedTokens {
  const tokens: AddedToken[] = [];
  const contentOf = new Map<number, string>();
  const contents = new Set<string>();
  const vocabularyIds = new Map(Array.from(idOf, ([token, id]) => [id, token]));
  for (const section of root.sections('added_tokens')) {
    const content = section.requiredText('content');
    const id = section.fields.id;
    requireId(section, content, id, vocabSize);
    const other = vocabularyIds.get(id) ?? contentOf.get(id) ?? content;
    if (other !== content || (idOf.get(content) ?? id) !== id || contents.has(content)) {
      throw new EmbedError('EM1106', {
        where: `${section.file}, ${section.place}`,
        why: `added token ${quoted(content)} with id ${id}: another token has that name or that id`,
      });
    }
    contents.add(content);
    contentOf.set(id, content);
    tokens.push(readAddedToken(section, id, content, normalizer));
  }
  tokens.sort((a, b) => b.content.length - a.content.length || a.id - b.id);
  return { tokens, contentOf };
}

function readAddedToken(
  section: JsonSection,
  id: number,
  content: string,
  normalizer: Pick<NormalizerSettings, 'nfc' | 'replacesSpaces' | 'characterMap'>,
): AddedToken {
  const special = section.flag('special', false);
  const normalized = section.flag('normalized', !special);
  const refuse = (why: string) =>
    new EmbedError('EM1111', {
      where: `${section.file}, ${section.place}`,
      why: `${quoted(content)}: ${why}`,
    });
  if (section.flag('single_word', false)) throw refuse('single_word');
  if (normalized && (normalizer.replacesSpaces || normalizer.characterMap !== null)) {
    throw refuse('normalized, with a normalizer that replaces spaces or other strings');
  }
  return {
    id,
    content: utf8(normalized && normalizer.nfc ? content.normalize('NFC') : content),
    special,
    // Without a normalizer there is only one search.
    normalized: normalized && normalizer.nfc,
    stripLeft: section.flag('lstrip', false),
    stripRight: section.flag('rstrip', false),
  };
}
