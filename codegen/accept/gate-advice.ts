/** What to do where a gate fell. */
import { TRAINING_ADVICE } from '../allocate/search-advice.js';
import type { Gate, GateName } from './gates.js';

const CLOSER = 'more bits stay closer to the checkpoint: a lower --max-loss, or --quantize int8';

/** A line for each gate that failed. `plan`: the name of the bundle's. */
export function gateAdvice(gates: readonly Gate[], plan: string): string[] {
  const isAuto = plan === 'auto';
  const advice: Readonly<Record<GateName, string>> = {
    loss: isAuto
      ? 'loss: auto keeps more bits with a lower --max-loss; calibrate with text like that which the model was trained on'
      : 'loss: --quantize auto gives bits to the matrices that need them; --calibration is what weights are fitted to',
    speed:
      'speed: fewer bits save little time where 16-bit weights fit the caches of this processor; embed-model bench measures a board',
    size: `size: narrow matrices spend much on scales and filled-up groups; take a wider model, or fewer bits: ${isAuto ? 'auto gives them with a higher --max-loss' : '--quantize auto or int4'}`,
    repetition: `repetition: ${CLOSER}; --prompts FILE judges by what the model will be asked`,
    task: `task: ${CLOSER}; calibrate with text like that of the task`,
  };
  const failed = gates.filter(({ passed }) => passed === false).map(({ name }) => name);
  const isWorse = failed.some((name) => name === 'loss' || name === 'repetition' || name === 'task');
  return [...failed.map((name) => advice[name]), ...(isWorse ? [TRAINING_ADVICE] : [])];
}
