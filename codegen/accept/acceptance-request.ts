/** What a build or an evaluation is asked to judge besides the loss, read before minutes of work. */
import type { BuildOptions } from '../build-options.js';
import type { ModelSource } from '../checkpoint/model-source.js';
import { contextOf } from '../graph/context-length.js';
import { type Prompt, readPrompts } from './acceptance-prompts.js';
import { readTask, type TaskItem } from './task-benchmark.js';

/** Paths of what was asked for. */
export interface AcceptanceFiles {
  /** A prompt a line; null: beginnings of windows of a text that is read anyway. */
  readonly prompts: string | null;
  /** A task benchmark; null: there is none. */
  readonly task: string | null;
}

export interface AcceptanceRequest {
  /** null: beginnings of windows of a text that is read anyway. */
  readonly prompts: readonly Prompt[] | null;
  /** null: there is no task benchmark. */
  readonly task: readonly TaskItem[] | null;
}

/** Null where no acceptance was asked for. Throws EM1207 and what readAcceptanceFiles throws. */
export function readAcceptanceRequest(
  { acceptance = null, context }: BuildOptions,
  { checkpoint, tokenizer }: ModelSource,
): AcceptanceRequest | null {
  if (acceptance === null) return null;
  return readAcceptanceFiles(acceptance, tokenizer, contextOf(checkpoint.config, context));
}

/** For a context of `positions`. Throws EM2020 for prompts and EM2021 for a task that cannot be used. */
export function readAcceptanceFiles(
  { prompts, task }: AcceptanceFiles,
  tokenizer: ModelSource['tokenizer'],
  positions: number,
): AcceptanceRequest {
  return {
    prompts: prompts === null ? null : readPrompts(prompts, tokenizer, positions),
    task: task === null ? null : readTask(task, tokenizer, positions),
  };
}
