/** acceptance.json: the verdict on a bundle, gate by gate. */
import type { Gate } from './gates.js';

export interface Acceptance {
  readonly schemaVersion: 1;
  readonly model: string;
  readonly target: string;
  readonly plan: string;
  readonly build: { readonly id: string; readonly quantizedSha256: string };
  /** What the loss was measured on; null where it was not. */
  readonly text: { readonly name: string; readonly sha256: string } | null;
  readonly gates: readonly Gate[];
  /** false: a gate failed. true: none did, and the loss was judged. null: the loss could not be judged. */
  readonly accepted: boolean | null;
  /** What to do, a line for each gate that failed. */
  readonly advice: readonly string[];
}

/** The verdict of all gates together; one that was not judged, other than the loss, does not stand in the way. */
export function verdictOf(gates: readonly Gate[]): boolean | null {
  if (gates.some(({ passed }) => passed === false)) return false;
  return gates.some(({ name, passed }) => name === 'loss' && passed === true) ? true : null;
}
