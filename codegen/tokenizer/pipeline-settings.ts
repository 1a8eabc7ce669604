/**
 * What the components of tokenizer.json around the model mean here. Each is recognised by name or refused by
 * name.
 */
import type { DiagnosticCode } from '../diagnostics/catalog.js';
import { EmbedError } from '../diagnostics/error.js';
import { CharacterMap } from './character-map.js';
import { type JsonSection, quoted, stepsOf } from './json-section.js';
import { type PreTokenizer, patternOf } from './pre-tokenizer.js';
import { type SpaceRules, spacesKept } from './settle-spaces.js';
import type { TokenizerModel } from './tokenizer.js';

/** The character SentencePiece writes for a space. */
export const spaceCharacter = '\u2581';

function refuse(code: DiagnosticCode, step: JsonSection, why: string): EmbedError {
  return new EmbedError(code, { where: `${step.file}, ${step.place}`, why });
}

export interface NormalizerSettings {
  readonly nfc: boolean;
  readonly characterMap: CharacterMap | null;
  readonly spaces: SpaceRules;
  /** Puts U+2581 before the text. */
  readonly prepends: boolean;
  /** Writes U+2581 for every space. */
  readonly replacesSpaces: boolean;
}

/**
 * Supported: none, NFC or Precompiled, then Strip, then Replace of several spaces by one; Prepend of U+2581 with Replace of spaces
 * by U+2581. Throws EM1108.
 */
export function readNormalizer(root: JsonSection): NormalizerSettings {
  let [nfc, prepends, replacesSpaces] = [false, false, false];
  let characterMap: CharacterMap | null = null;
  let spaces = spacesKept;
  const steps = stepsOf(root, 'normalizer', 'normalizers');
  for (const step of steps) {
    const type = step.text('type');
    const first = !nfc && characterMap === null && spaces === spacesKept && !prepends && !replacesSpaces;
    if (type === 'NFC' && first) nfc = true;
    else if (type === 'Precompiled' && first) characterMap = readCharacterMap(step);
    else if (type === 'Strip' && spaces.collapses === 'nothing') spaces = trimming(step, spaces);
    else if (collapsesSpaces(step)) spaces = { ...spaces, collapses: 'spaces' };
    else if (type === 'Prepend' && step.text('prepend') === spaceCharacter && !prepends) prepends = true;
    else if (type === 'Replace' && isReplacement(step, ' ', spaceCharacter)) replacesSpaces = true;
    else
      throw refuse(
        'EM1108',
        step,
        `${quoted(step.fields, 120)}; supported: NFC or Precompiled, Strip, then Prepend and Replace for spaces`,
      );
  }
  if (prepends && !replacesSpaces) {
    throw refuse('EM1108', steps[0], 'Prepend of U+2581 without Replace of spaces by it');
  }
  if (prepends && spaces !== spacesKept) {
    throw refuse('EM1108', steps[0]!, 'Prepend of U+2581 beside Strip or Replace of several spaces');
  }
  return { nfc, characterMap, spaces, prepends, replacesSpaces };
}

function readCharacterMap(step: JsonSection): CharacterMap | null {
  const text = step.text('precompiled_charsmap') ?? '';
  return CharacterMap.parse(Buffer.from(text, 'base64'), `${step.file}, ${step.place}`);
}

function trimming(step: JsonSection, spaces: SpaceRules): SpaceRules {
  return {
    ...spaces,
    trimsLeft: spaces.trimsLeft || step.flag('strip_left', false),
    trimsRight: spaces.trimsRight || step.flag('strip_right', false),
    trimsWhite: true,
  };
}

function collapsesSpaces(step: JsonSection): boolean {
  const by = step.fields.content === ' ' || step.fields.content === spaceCharacter;
  return step.text('type') === 'Replace' && step.section('pattern')?.fields.Regex === ' {2,}' && by;
}

export interface PreTokenizerSettings {
  readonly preTokenizer: PreTokenizer;
  /** Whether the tokens are written in the byte alphabet of GPT-2. */
  readonly byteLevel: boolean;
  readonly replacesSpaces: boolean;
  readonly prefixSpace: TokenizerModel['prefixSpace'];
  /** White space only parts words. */
  readonly splitsAtWhite: boolean;
}

const onePiece: PreTokenizer = { pattern: 'none', digitsPerPiece: 0, digits: 'none' };

/**
 * Supported: none; Metaspace, before it WhitespaceSplit; ByteLevel, before it Digits and Split by a known expression.
 * Throws EM1104.
 */
export function readPreTokenizer(root: JsonSection): PreTokenizerSettings {
  const steps = stepsOf(root, 'pre_tokenizer', 'pretokenizers');
  const last = steps.at(-1);
  if (last === undefined) {
    return {
      preTokenizer: onePiece,
      byteLevel: false,
      replacesSpaces: false,
      prefixSpace: 'never',
      splitsAtWhite: false,
    };
  }
  if (last.text('type') === 'Metaspace') {
    const splitsAtWhite = steps[0]!.text('type') === 'WhitespaceSplit';
    if (steps.length === (splitsAtWhite ? 2 : 1)) return readMetaspace(last, splitsAtWhite);
  }
  if (last.text('type') === 'ByteLevel') return readByteLevel(steps.slice(0, -1), last);
  throw refuse(
    'EM1104',
    last,
    `${quoted(last.fields, 120)}; supported: ByteLevel, Split, Digits, Metaspace, WhitespaceSplit`,
  );
}

function readMetaspace(step: JsonSection, splitsAtWhite: boolean): PreTokenizerSettings {
  const scheme = step.text('prepend_scheme') ?? 'always';
  const schemes = { always: 'unless-there', first: 'first-unless-there', never: 'never' } as const;
  if (!Object.hasOwn(schemes, scheme))
    throw step.malformed('prepend_scheme', Object.keys(schemes).join(', '));
  const prefixSpace = schemes[scheme as keyof typeof schemes];
  if ((step.text('replacement') ?? spaceCharacter) !== spaceCharacter) {
    throw refuse('EM1104', step, 'Metaspace with another replacement than U+2581');
  }
  if (splitsAtWhite && scheme !== 'always') {
    throw refuse('EM1104', step, `WhitespaceSplit with prepend_scheme ${scheme}`);
  }
  if (step.flag('add_prefix_space', prefixSpace !== 'never') !== (prefixSpace !== 'never')) {
    throw refuse('EM1104', step, `add_prefix_space contradicts prepend_scheme ${scheme}`);
  }
  const pattern = splitsAtWhite || step.flag('split', true) ? 'words' : 'none';
  const preTokenizer = { ...onePiece, pattern } as const;
  return { preTokenizer, byteLevel: false, replacesSpaces: true, prefixSpace, splitsAtWhite };
}

function readByteLevel(before: readonly JsonSection[], step: JsonSection): PreTokenizerSettings {
  const prefixed = step.flag('add_prefix_space', false);
  let settings: PreTokenizer = onePiece;
  for (const earlier of before) {
    const type = earlier.text('type');
    if (type === 'Digits' && settings.digits === 'none' && settings.pattern === 'none') {
      settings = { ...settings, digits: earlier.flag('individual_digits', false) ? 'each' : 'runs' };
    } else if (type === 'Split' && settings.pattern === 'none') {
      settings = { ...settings, ...readSplit(earlier) };
    } else {
      throw refuse(
        'EM1104',
        earlier,
        `${quoted(earlier.fields, 120)} at this place; supported: Digits, then Split`,
      );
    }
  }
  if (prefixed && before.length > 0) {
    throw refuse('EM1104', step, 'add_prefix_space after a split: a space would go before every piece');
  }
  if (step.flag('use_regex', true)) {
    if (settings.pattern !== 'none') throw refuse('EM1104', step, 'use_regex after a Split');
    settings = { ...settings, pattern: 'gpt2' };
  }
  const prefixSpace = prefixed ? 'unless-there' : 'never';
  return {
    preTokenizer: settings,
    byteLevel: true,
    replacesSpaces: false,
    prefixSpace,
    splitsAtWhite: false,
  };
}

function readSplit(step: JsonSection): Pick<PreTokenizer, 'pattern' | 'digitsPerPiece'> {
  const expression = step.section('pattern')?.text('Regex') ?? null;
  const known = expression === null ? null : patternOf(expression);
  if (known === null) {
    const shown = expression?.slice(0, 400) ?? quoted(step.fields.pattern);
    throw refuse('EM1104', step, `Split by ${shown}; known: the expressions of GPT-2, Llama 3 and Qwen 2`);
  }
  // The expressions match every character, so keeping the matches and cutting out the matches come to the
  // same.
  const behavior = step.text('behavior');
  const kept = step.flag('invert', false) ? 'Removed' : 'Isolated';
  if (behavior !== kept) throw refuse('EM1104', step, `Split with behavior ${behavior}; supported: ${kept}`);
  return known;
}

export interface DecoderSettings {
  readonly byteLevel: boolean;
  readonly replacesSpaces: boolean;
  /** Whether tokens such as <0x0A> decode to a byte. */
  readonly bytesByName: boolean;
  readonly stripsFirstSpace: boolean;
}

/**
 * Supported: ByteLevel; Metaspace; Replace of U+2581, ByteFallback, Fuse, Strip of one leading space, in this order.
 * Throws EM1109.
 */
export function readDecoder(root: JsonSection): DecoderSettings {
  const steps = stepsOf(root, 'decoder', 'decoders');
  const types = steps.map((step) => step.text('type'));
  const none = { byteLevel: false, replacesSpaces: false, bytesByName: false, stripsFirstSpace: false };
  if (types.join() === 'ByteLevel') return { ...none, byteLevel: true };
  if (types.join() === 'Metaspace') {
    const { prefixSpace } = readMetaspace(steps[0]!, false);
    return { ...none, replacesSpaces: true, stripsFirstSpace: prefixSpace !== 'never' };
  }
  const supported = 'ByteLevel, Metaspace, or Replace, ByteFallback, Fuse, Strip in this order';
  if (steps.length === 0) {
    throw new EmbedError('EM1109', { where: root.file, why: `no decoder; supported: ${supported}` });
  }
  if (!/^Replace(,ByteFallback)?(,Fuse(,Strip)?)?$/.test(types.join())) {
    throw refuse('EM1109', steps[0], `steps ${types.join(', ')}; supported: ${supported}`);
  }
  if (!isReplacement(steps[0], spaceCharacter, ' '))
    throw refuse('EM1109', steps[0], quoted(steps[0].fields, 120));
  const strip = steps.find((step) => step.text('type') === 'Strip');
  if (strip && (strip.fields.content !== ' ' || strip.count('start') > 1 || strip.count('stop') !== 0)) {
    throw refuse('EM1109', strip, 'Strip of anything but one leading space');
  }
  return {
    ...none,
    replacesSpaces: true,
    bytesByName: types.includes('ByteFallback'),
    stripsFirstSpace: strip !== undefined && strip.count('start') === 1,
  };
}

function isReplacement(step: JsonSection, from: string, to: string): boolean {
  return step.section('pattern')?.fields.String === from && step.fields.content === to;
}
