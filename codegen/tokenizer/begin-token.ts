import { EmbedError } from '../diagnostics/error.js';
import { type JsonSection, quoted, stepsOf } from './json-section.js';

/**
 * The token that is put before every text, or null. add_bos_token of tokenizer_config.json decides where it
 * is set, else the template of tokenizer.json. `idOf` gives the id of a token. Throws EM1110 for anything
 * else that the configuration puts around a text.
 */
export function readBeginToken(
  root: JsonSection,
  config: JsonSection | null,
  idOf: (token: string) => number | undefined,
): number | null {
  if (config?.flag('add_eos_token', false)) {
    throw new EmbedError('EM1110', {
      where: config.file,
      why: 'add_eos_token puts a token behind every text',
    });
  }
  const fromTemplate = readTemplate(root, idOf);
  if (config === null || !config.flag('add_bos_token', false)) {
    return config?.fields.add_bos_token === false ? null : fromTemplate;
  }
  if (fromTemplate !== null) return fromTemplate;
  const bos = config.fields.bos_token;
  // A token is written as a string or as an object with its content.
  const name = typeof bos === 'object' ? config.section('bos_token')?.text('content') : bos;
  const id = typeof name === 'string' ? idOf(name) : undefined;
  if (id === undefined) {
    throw new EmbedError('EM1110', {
      where: config.file,
      why: `add_bos_token is set, and bos_token ${quoted(bos)} is no token of the vocabulary`,
    });
  }
  return id;
}

function readTemplate(root: JsonSection, idOf: (token: string) => number | undefined): number | null {
  let found: number | null = null;
  for (const step of stepsOf(root, 'post_processor', 'processors')) {
    const type = step.text('type');
    if (type === 'ByteLevel') continue; // moves offsets only
    const refuse = (why: string) => new EmbedError('EM1110', { where: `${step.file}, ${step.place}`, why });
    if (type !== 'TemplateProcessing') throw refuse(`${type}; supported: ByteLevel, TemplateProcessing`);
    const parts = step.sections('single');
    const text = parts.findIndex((part) => part.section('Sequence') !== null);
    if (text === -1 || text !== parts.length - 1 || text > 1 || found !== null) {
      throw refuse('the template is not one text with at most one token before it');
    }
    if (text === 0) continue;
    const token = parts[0].section('SpecialToken')?.requiredText('id') ?? '';
    const id = step.section('special_tokens')?.section(token)?.list('ids') ?? [idOf(token)];
    if (id.length !== 1 || typeof id[0] !== 'number' || id[0] !== idOf(token)) {
      throw refuse(`token ${quoted(token)} of the template is no token of the vocabulary`);
    }
    found = id[0];
  }
  return found;
}
