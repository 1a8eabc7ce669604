/** For a search of plans: the gates that a plan can fail while its loss is small enough, judged before anything is certified. */
import type { PlanGates } from '../allocate/plan-gates.js';
import { CONTINUATION_TOKENS } from '../build-options.js';
import { checkpointWeights } from '../calibrate/float-weights.js';
import { withHostBuild } from '../evaluate/host-build.js';
import { hostTarget } from '../evaluate/host-target.js';
import { takePrompts } from './acceptance-prompts.js';
import type { AcceptanceRequest } from './acceptance-request.js';
import { BehaviourJudge } from './behaviour.js';
import { type Gate, repetitionGate, taskGate } from './gates.js';

/**
 * Repetition and task, of a build for this machine. Prompts that were not given are beginnings of windows of the allocation text:
 * the text that certifies is not looked at.
 */
export function planGates(request: AcceptanceRequest): PlanGates {
  let judge: BehaviourJudge | null = null;
  return async ({ source, graph, windows }, plan, model, context) => {
    const { prompts, task } = request;
    judge ??= new BehaviourJudge({
      ...{ source, task, tokens: CONTINUATION_TOKENS },
      ...(prompts === null ? takePrompts(windows, source.tokenizer) : { prompts, further: [] }),
      reference: { graph, weights: checkpointWeights(source.checkpoint, graph) },
    });
    const asked = judge;
    const behave = (build: Parameters<BehaviourJudge['judge']>[0]) => asked.judge(build, context);
    const host = { target: await hostTarget() };
    const { outputs, score } = await withHostBuild(host, source, plan, model, context, behave);
    const gates: readonly Gate[] = [
      repetitionGate({ outputs }),
      ...(score === null ? [] : [taskGate(score)]),
    ];
    return gates.filter(({ passed }) => passed === false).map(({ name }) => name);
  };
}
