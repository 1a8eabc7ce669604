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
  const runs = options.repeat + 2; // as benchBundle counts them
  progress.begin(`${assignments.length} boards`, assignments.length * runs, 'run');
  const settled = await Promise.allSettled(
    assignments.map(async ({ board, bundle }) => {
      const own = new BoardProgress(progress, board.name, runs);
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
        own.done();
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

/** One of several boards: of its stages the one bar shows how far the measurement is, and warnings have the name of the board. */
class BoardProgress implements Progress {
  private isMeasured = false;

  constructor(
    private readonly all: Progress,
    private readonly name: string,
    private left: number,
  ) {}

  begin(stage: string): void {
    this.isMeasured = stage === 'bench';
  }

  advance(units: number): void {
    if (this.isMeasured) this.take(Math.min(units, this.left));
  }

  end(): void {
    this.isMeasured = false;
  }

  warn(message: string): void {
    this.all.warn(`${this.name}: ${message}`);
  }

  /** Nothing more comes of this board. */
  done(): void {
    this.take(this.left);
  }

  private take(units: number): void {
    this.left -= units;
    if (units > 0) this.all.advance(units);
  }
}
