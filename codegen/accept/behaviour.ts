/** What a quantized model does beside its checkpoint in float: how it goes on from prompts, and which items of a task it solves. */
import { FloatEvaluator } from '../calibrate/float-evaluator.js';
import { createLinearAlgebra } from '../calibrate/linear-algebra.js';
import type { ModelSource } from '../checkpoint/model-source.js';
import type { HostBuild } from '../evaluate/host-build.js';
import type { ReferenceModel } from '../evaluate/reference-model.js';
import type { StageContext } from '../progress.js';
import type { Prompt, PromptSet } from './acceptance-prompts.js';
import { continueGreedily, firstChoices } from './float-continuation.js';
import { repetitionGate } from './gates.js';
import { type ComparedOutput, compareOutput } from './output-comparison.js';
import { runHostBuild } from './run-host-build.js';
import type { TaskItem } from './task-benchmark.js';
import { scoreTask, type TaskScore } from './task-score.js';

/** Programs of the model's integers that this machine runs. */
export type HostProgram = Pick<HostBuild, 'target' | 'toolchain' | 'binary' | 'blob'>;

export interface BehaviourInput extends PromptSet {
  readonly source: ModelSource;
  readonly reference: Pick<ReferenceModel, 'graph' | 'weights'>;
  /** null: there is no task benchmark. */
  readonly task: readonly TaskItem[] | null;
  /** Most tokens of a continuation. */
  readonly tokens: number;
}

export interface Behaviour {
  readonly outputs: readonly ComparedOutput[];
  /** null where there is no task. */
  readonly score: TaskScore | null;
}

/** Compares any number of programs of one model with its checkpoint, which is asked once. */
export class BehaviourJudge {
  readonly #float: FloatEvaluator;
  readonly #continuations = new Map<Prompt, readonly number[]>();
  readonly #solved = new Map<TaskItem, boolean>();

  constructor(readonly input: BehaviourInput) {
    const { graph, weights } = input.reference;
    this.#float = new FloatEvaluator(graph, weights, createLinearAlgebra());
  }

  /** Throws what running throws. */
  async judge(build: HostProgram, context: StageContext): Promise<Behaviour> {
    const outputs = await this.#compareOutputs(build, context);
    const { task } = this.input;
    return { outputs, score: task === null ? null : await this.#solveTask(task, build, context) };
  }

  /** One set of prompts in twenty fails a model that repeats itself no more: then the further ones have their say, too. */
  async #compareOutputs(build: HostProgram, context: StageContext): Promise<readonly ComparedOutput[]> {
    const { prompts, further } = this.input;
    const first = await this.#continueAll(prompts, build, context);
    const isDoubtful = further.length > 0 && repetitionGate({ outputs: first }).passed === false;
    return isDoubtful ? [...first, ...(await this.#continueAll(further, build, context))] : first;
  }

  async #continueAll(
    prompts: readonly Prompt[],
    build: HostProgram,
    { progress, signal }: StageContext,
  ): Promise<ComparedOutput[]> {
    const { source, reference, tokens } = this.input;
    const { tokenizer, checkpoint } = source;
    const { eosIds } = checkpoint.config;
    const outputs: ComparedOutput[] = [];
    progress.begin('compare outputs', prompts.length, 'prompt');
    for (const prompt of prompts) {
      const most = Math.min(tokens, reference.graph.context - prompt.ids.length);
      const inFloat =
        this.#continuations.get(prompt) ??
        (await continueGreedily(this.#float, prompt.ids, most, eosIds, signal));
      this.#continuations.set(prompt, inFloat);
      const run = await runHostBuild(build, prompt.ids, most, signal);
      const quantized = untilEnd(
        run.tokens.map(({ id }) => id),
        eosIds,
      );
      outputs.push(compareOutput(prompt, inFloat, quantized, tokenizer));
      progress.advance(1);
    }
    progress.end(`${prompts.length} prompts`);
    return outputs;
  }

  async #solveTask(
    items: readonly TaskItem[],
    build: HostProgram,
    { progress, signal }: StageContext,
  ): Promise<TaskScore> {
    const solved: { float: boolean; quantized: boolean }[] = [];
    progress.begin('task benchmark', items.length, 'item');
    for (const item of items) {
      const { prompt, completion } = item;
      const float = this.#solved.get(item) ?? (await this.#solvesInFloat(item, signal));
      this.#solved.set(item, float);
      const run = await runHostBuild(build, prompt, completion.length, signal);
      const generated = run.tokens.map(({ id }) => id).join();
      solved.push({ float, quantized: generated === completion.join() });
      progress.advance(1);
    }
    const score = scoreTask(solved);
    progress.end(
      `${(100 * score.quantized).toFixed(1)} % solved, ${(100 * score.float).toFixed(1)} % in float`,
    );
    return score;
  }

  /** Greedy decoding gives the completion exactly when every token of it is the first choice behind those before. */
  async #solvesInFloat({ prompt, completion }: TaskItem, signal: AbortSignal): Promise<boolean> {
    this.#float.reset();
    const known = [...prompt, ...completion.slice(0, -1)];
    const choices = await firstChoices(this.#float, known, prompt.length - 1, signal);
    return choices.join() === completion.join();
  }
}

/** A continuation up to the first token that ends a text. */
function untilEnd(ids: readonly number[], eosIds: readonly number[]): readonly number[] {
  const end = ids.findIndex((id) => eosIds.includes(id));
  return end < 0 ? ids : ids.slice(0, end + 1);
}
