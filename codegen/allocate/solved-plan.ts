/** The plan that was solved for the bundled model, with its certificate: a default build needs no search. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUNDLED, type ModelSource } from '../checkpoint/model-source.js';
import type { ValidationReport } from '../evaluate/validation-report.js';
import type { Plan } from '../quantize/plan.js';

/** solution.json beside the bundled model; scripts/write-solution.mjs makes it from a bundle that --quantize auto built. */
export interface SolvedPlan {
  readonly schemaVersion: 1;
  /** Of the checkpoint. */
  readonly modelSha256: string;
  readonly plan: Plan;
  readonly context: number;
  /** What the plan's integers hash to: the certificate is theirs. */
  readonly quantizedSha256: string;
  readonly certification: ValidationReport;
}

/** Null for any other model, and for another vocabulary than its whole one. */
export function solvedPlan({ source, path, checkpoint, vocabulary }: ModelSource): SolvedPlan | null {
  const file = join(path, 'solution.json');
  if (source !== BUNDLED || vocabulary !== undefined || !existsSync(file)) return null;
  const solved = JSON.parse(readFileSync(file, 'utf8')) as SolvedPlan; // part of this package, like its code
  return solved.modelSha256 === checkpoint.sha256() ? solved : null;
}
