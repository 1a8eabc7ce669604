/** What a build is asked to be judged by besides its loss, read before minutes of work. */
import type { BuildOptions } from '../build-options.js';
import type { ModelSource } from '../checkpoint/model-source.js';
import { contextOf } from '../graph/context-length.js';
import { type Prompt, readPrompts } from './acceptance-prompts.js';
import { readTask, type TaskItem } from './task-benchmark.js';

export interface AcceptanceRequest {
  /** null: beginnings of windows of a text that the build reads anyway. */
  readonly prompts: readonly Prompt[] | null;
  /** null: there is no task benchmark. */
  readonly task: readonly TaskItem[] | null;
}

/** Null where no acceptance was asked for. Throws EM1207, EM2020 for prompts and EM2021 for a task that cannot be used. */
export function readAcceptanceRequest(
  { acceptance = null, context }: BuildOptions,
  { checkpoint, tokenizer }: ModelSource,
): AcceptanceRequest | null {
  if (acceptance === null) return null;
  const { prompts, task } = acceptance;
  const positions = contextOf(checkpoint.config, context);
  return {
    prompts: prompts === null ? null : readPrompts(prompts, tokenizer, positions),
    task: task === null ? null : readTask(task, tokenizer, positions),
  };
}
