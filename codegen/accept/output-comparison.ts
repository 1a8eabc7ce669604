/** compare_outputs: what the model in float and its quantization make of the same prompts, side by side. */
import { wrapText } from '../commands/wrap-text.js';
import { printable } from '../diagnostics/printable.js';
import { decodeTokens } from '../tokenizer/decode-tokens.js';
import type { TokenizerModel } from '../tokenizer/tokenizer.js';
import type { Prompt } from './acceptance-prompts.js';
import { ngramRepetition } from './ngram-repetition.js';

/** Lengths of the n-grams whose repetition is told. */
export const repetitionLengths = [2, 3, 4] as const;

export interface ComparedText {
  readonly ids: readonly number[];
  /** null where the model has no tokenizer. */
  readonly text: string | null;
  /** Share of 2-, 3- and 4-grams that occurred before in this text. */
  readonly repetition: readonly number[];
}

export interface ComparedOutput {
  readonly prompt: Prompt;
  readonly float: ComparedText;
  readonly quantized: ComparedText;
  /** Tokens that both begin with. */
  readonly equalTokens: number;
}

export interface OutputComparison {
  readonly schemaVersion: 1;
  readonly model: string;
  readonly plan: string;
  readonly build: { readonly id: string };
  /** Most tokens of a continuation; greedy, one thread. */
  readonly tokens: number;
  readonly outputs: readonly ComparedOutput[];
}

/** One prompt with both continuations. */
export function compareOutput(
  prompt: Prompt,
  float: readonly number[],
  quantized: readonly number[],
  tokenizer: TokenizerModel | null,
): ComparedOutput {
  const different = float.findIndex((id, i) => id !== quantized[i]);
  const textOf = (ids: readonly number[]): ComparedText => ({
    ids,
    text: tokenizer === null ? null : decodeTokens(tokenizer, ids),
    repetition: repetitionLengths.map((n) => ngramRepetition(ids, n)),
  });
  return {
    prompt,
    float: textOf(float),
    quantized: textOf(quantized),
    equalTokens: different < 0 ? Math.min(float.length, quantized.length) : different,
  };
}

const COLUMN = 46;

/** For reading: two columns a prompt, at most 96 characters wide. */
export function sideBySide({ model, plan, tokens, outputs }: OutputComparison): string {
  const identical = outputs.filter(isIdentical).length;
  const head =
    `${printable(model)}: in float (left) and quantized by ${printable(plan)} (right), greedy, at most ${tokens} tokens.\n` +
    `${identical} of ${outputs.length} continuations are identical.`;
  return `${[head, ...outputs.map(block)].join('\n\n')}\n`;
}

export const isIdentical = ({ float, quantized }: ComparedOutput): boolean =>
  float.ids.join() === quantized.ids.join();

function block(output: ComparedOutput, index: number): string {
  const { prompt, float, quantized, equalTokens } = output;
  const left = columnOf(float);
  const right = columnOf(quantized);
  const rows = Array.from({ length: Math.max(left.length, right.length) }, (_, i) =>
    `${(left[i] ?? '').padEnd(COLUMN)}  | ${right[i] ?? ''}`.trimEnd(),
  );
  const verdict = isIdentical(output) ? 'identical' : `equal for ${equalTokens} tokens`;
  return [`${index + 1}. ${shown(prompt)}   (${verdict})`, ...rows].join('\n');
}

/** Control characters are replaced, and lines broken; words longer than the column are cut. */
function columnOf(text: ComparedText): string[] {
  const words = shown(text)
    .split(' ')
    .map((word) => word.replace(new RegExp(`.{${COLUMN}}`, 'gu'), '$& ').trimEnd())
    .join(' ');
  return wrapText(words, COLUMN);
}

const shown = ({ text, ids }: { readonly text: string | null; readonly ids: readonly number[] }) =>
  text === null ? ids.join(' ') : printable(text.replace(/\s+/g, ' ').trim());
