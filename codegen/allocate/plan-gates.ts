/** What a search knows of the gates besides the loss. */
import type { ModelSource } from '../checkpoint/model-source.js';
import type { EvaluationWindows } from '../evaluate/evaluation-text.js';
import type { Graph } from '../graph/graph.js';
import type { IntegerModel } from '../lower/lower.js';
import type { StageContext } from '../progress.js';
import type { Plan } from '../quantize/plan.js';

/** Always the same in a search. */
export interface JudgedSource {
  readonly source: ModelSource;
  readonly graph: Graph;
  /** Of the allocation text. */
  readonly windows: EvaluationWindows;
}

/** Names of the gates that the integers of a plan fail. Throws what compiling and running throw. */
export type PlanGates = (
  judged: JudgedSource,
  plan: Plan,
  model: IntegerModel,
  context: StageContext,
) => Promise<readonly string[]>;
