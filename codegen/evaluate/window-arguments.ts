import type { EvaluationTask } from './evaluate-worker.js';

/** Arguments of em-run that make it write the logits of the windows of a task to stdout. */
export function windowArguments({
  blob,
  idsFile,
  ids,
  window,
  firstWindow,
}: Pick<EvaluationTask, 'blob' | 'idsFile' | 'ids' | 'window' | 'firstWindow'>): string[] {
  return [
    ...[blob, '--no-verify', '--logits=-', `--ids-file=${idsFile}`, `--window=${window}`],
    ...[`--first-window=${firstWindow}`, `--windows=${ids.length / window}`],
  ];
}
