/** The prompt of the golden runs. */
import { BUNDLED, type ModelSource } from '../checkpoint/model-source.js';
import { EmbedError } from '../diagnostics/error.js';
import type { Graph } from '../graph/graph.js';
import { encodeText } from '../tokenizer/encode-text.js';

export interface GoldenPrompt {
  /** null where the model has no tokenizer. */
  readonly text: string | null;
  readonly ids: readonly number[];
}

/** Words that most texts begin with, and something that the bundled model was trained on. */
const DEFAULT_TEXT = 'The';
const BUNDLED_TEXT = 'PCI device 8086:10d3 is';

/** What the user asked for, or a few words; ids spread over the vocabulary for models without a tokenizer. */
export function goldenPrompt(asked: string | null, source: ModelSource, graph: Graph): GoldenPrompt {
  const { tokenizer } = source;
  if (tokenizer === null) {
    if (asked !== null) {
      throw new EmbedError('EM1202', { where: '--prompt', why: 'the model is built without its tokenizer' });
    }
    const ids = Array.from({ length: 8 }, (_, i) => Math.floor((i * graph.vocabSize) / 8));
    return { text: null, ids: ids.slice(0, Math.max(1, graph.context - 1)) };
  }
  const text = asked ?? (source.source === BUNDLED ? BUNDLED_TEXT : DEFAULT_TEXT);
  const ids = [...encodeText(tokenizer, text, { bos: true, special: true })];
  if (ids.length === 0) throw new EmbedError('EM1202', { where: '--prompt', why: 'it has no tokens' });
  if (ids.length >= graph.context) {
    const why = `the prompt has ${ids.length} tokens, the context ${graph.context} positions`;
    throw new EmbedError('EM1204', { where: '--prompt', why });
  }
  return { text, ids };
}
