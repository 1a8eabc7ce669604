/** The quantize stage: every matrix of a graph in the format its plan gives it. */
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Graph } from '../graph/graph.js';
import { readMatrixRows } from '../graph/rotate-inputs.js';
import { breathe, type StageContext } from '../progress.js';
import { keepGrid, RequantizationReport } from './keep-grid.js';
import type { QuantizedMatrix } from './matrix.js';
import { type Plan, resolvePlan } from './plan.js';
import { roundToNearest } from './round-to-nearest.js';

/**
 * Rounds all matrices to nearest; integers of a checkpoint that came quantized are kept where the format can hold them, and what
 * the change cost is told. `where` names the plan in errors.
 */
export async function quantizeGraph(
  graph: Graph,
  checkpoint: Checkpoint,
  plan: Plan,
  where: string,
  { progress, signal }: StageContext,
): Promise<ReadonlyMap<string, QuantizedMatrix>> {
  const formats = resolvePlan(plan, graph.matrices, where);
  const matrices = new Map<string, QuantizedMatrix>();
  const parameters = graph.matrices.reduce((sum, m) => sum + m.rows * m.columns, 0);
  const requantized = new RequantizationReport();
  progress.begin('quantize', parameters, 'weight');
  for (const info of graph.matrices) {
    await breathe(signal);
    const { name, tensor, rows, columns } = info;
    const read = (first: number, count: number) => readMatrixRows(checkpoint, info, first, count);
    const format = formats.get(name)!;
    const grid = checkpoint.gridOf?.(tensor);
    const kept = grid === undefined ? null : keepGrid(name, grid, format);
    const matrix = kept ?? roundToNearest({ name, rows, columns, read }, format, plan.groupSize);
    if (grid !== undefined) requantized.add(matrix, kept !== null, read);
    matrices.set(name, matrix);
    progress.advance(rows * columns);
  }
  progress.end(`${graph.matrices.length} matrices, plan ${plan.name}`);
  const cost = requantized.text();
  if (cost !== null) progress.warn(cost);
  return matrices;
}
