/**
 * Every numbered error of embed-model, as data. docs/errors.md is generated from this table.
 *
 * EM10xx checkpoint files, EM11xx tokenizers, EM12xx command line, EM13xx output folders, EM14xx bundles and
 * blobs, EM2xxx quantization, EM3xxx toolchains and running, EM4xxx boards, EM5xxx kernel modules, EM90xx
 * embed-model itself. A number is never reused.
 */
export interface Diagnostic {
  /** One line: what went wrong, without the particulars. */
  readonly what: string;
  /** What the reader can do about it. */
  readonly fix: string;
  readonly exit: Exclude<ExitCode, 0>;
}

import { boardDiagnostics } from './board.js';
import { bundleDiagnostics } from './bundle.js';
import { checkpointDiagnostics } from './checkpoint.js';
import type { ExitCode } from './exit-codes.js';
import { kernelDiagnostics } from './kernel.js';
import { programDiagnostics } from './program.js';
import { quantizationDiagnostics } from './quantization.js';
import { tokenizerDiagnostics } from './tokenizer.js';
import { toolchainDiagnostics } from './toolchain.js';
import { usageDiagnostics } from './usage.js';

export const diagnostics = {
  ...checkpointDiagnostics,
  ...tokenizerDiagnostics,
  ...usageDiagnostics,
  ...bundleDiagnostics,
  ...quantizationDiagnostics,
  ...toolchainDiagnostics,
  ...boardDiagnostics,
  ...kernelDiagnostics,
  ...programDiagnostics,
} as const satisfies Record<string, Diagnostic>;

export type DiagnosticCode = keyof typeof diagnostics;
