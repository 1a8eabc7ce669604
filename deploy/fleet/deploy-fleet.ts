/** deploy to several boards at the same time: what one does says nothing about the others. */
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { Progress, StageContext } from '../../codegen/progress.js';
import { type DeployOptions, type DeployResult, deployBundle } from '../deploy-bundle.js';
import { type BoardFailure, boardFailure } from '../report/board-failure.js';
import type { SessionOptions } from '../session/board-session.js';
import type { Assignment } from './assign-bundles.js';

export interface FleetOutcome {
  /** In the order of the assignments, as `failures` are. */
  readonly results: readonly DeployResult[];
  readonly failures: readonly BoardFailure[];
}

/** Throws the signal's reason once every board has been given back; errors of boards are in the outcome. */
export async function deployFleet(
  assignments: readonly Assignment[],
  options: DeployOptions,
  session: SessionOptions,
  { progress, signal }: StageContext,
): Promise<FleetOutcome> {
  progress.begin('boards', assignments.length, 'board');
  const settled = await Promise.allSettled(
    assignments.map(async ({ board, bundle }) => {
      const own = warningsOnly(progress, board.name);
      try {
        return await deployBundle(
          bundle,
          board,
          options,
          { ...session, progress: own },
          { progress: own, signal },
        );
      } catch (error) {
        if (error instanceof EmbedError) return boardFailure(board.name, error);
        throw error;
      } finally {
        progress.advance(1);
      }
    }),
  );
  signal.throwIfAborted();
  const outcomes = settled.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
  const failures = outcomes.filter((outcome): outcome is BoardFailure => 'error' in outcome);
  const results = outcomes.filter((outcome): outcome is DeployResult => !('error' in outcome));
  progress.end(`${results.filter(isWell).length} of ${assignments.length} computed what the reference does`);
  return { results, failures };
}

const isWell = ({ output }: DeployResult) => output.matchesGolden !== false;

/** Stages of boards side by side do not fit one bar: only what one should know is told, with the name of the board. */
function warningsOnly(progress: Progress, name: string): Progress {
  return { begin() {}, advance() {}, end() {}, warn: (message) => progress.warn(`${name}: ${message}`) };
}
