/** Runs llama.cpp's llama-bench and reads what it prints. */
import { findProgram } from '../../../codegen/compile/find-program.js';
import { runTool } from '../../../codegen/compile/run-tool.js';

/** One test of llama-bench: a prompt, or tokens generated from nothing. */
export interface LlamaTest {
  readonly buildCommit: string;
  readonly cpu: string;
  /** Such as "llama ?B Q4_0". */
  readonly modelType: string;
  readonly modelParameters: number;
  readonly modelBytes: number;
  readonly threads: number;
  readonly promptTokens: number;
  readonly generatedTokens: number;
  /** Tokens a second of every repetition. */
  readonly tokensPerSecond: readonly number[];
}

export interface LlamaRequest {
  readonly gguf: string;
  readonly promptTokens: number;
  readonly generatedTokens: number;
  readonly threads: number;
  readonly repetitions: number;
}

/** Its path; undefined where none is in PATH. */
export const findLlamaBench = () => findProgram('llama-bench');

/** Throws EM3002 where it fails. `prefix` is what starts it, such as chrt. */
export async function runLlamaBench(
  program: string,
  request: LlamaRequest,
  prefix: readonly string[],
): Promise<LlamaTest[]> {
  const { gguf, promptTokens, generatedTokens, threads, repetitions } = request;
  const sizes = ['-p', promptTokens, '-n', generatedTokens, '-t', threads, '-r', repetitions].map(String);
  const { stdout } = await runTool([...prefix, program, '-m', gguf, ...sizes, '-o', 'jsonl'], {
    timeoutMs: 600_000,
  });
  return parseLlamaBench(stdout);
}

/** Lines of `-o jsonl`. Throws where a field that is needed is not there: another version of llama-bench. */
export function parseLlamaBench(text: string): LlamaTest[] {
  const lines = text.split('\n').filter((line) => line.startsWith('{'));
  if (lines.length === 0) throw new Error('llama-bench printed no test');
  return lines.map((line) => {
    const test: Record<string, unknown> = JSON.parse(line);
    const field = <T>(name: string, isRight: (value: unknown) => value is T): T => {
      const value = test[name];
      if (!isRight(value))
        throw new Error(`llama-bench prints no ${name} as it should: ${JSON.stringify(value)}`);
      return value;
    };
    return {
      buildCommit: field('build_commit', isText),
      cpu: field('cpu_info', isText),
      modelType: field('model_type', isText),
      modelParameters: field('model_n_params', isNumber),
      modelBytes: field('model_size', isNumber),
      threads: field('n_threads', isNumber),
      promptTokens: field('n_prompt', isNumber),
      generatedTokens: field('n_gen', isNumber),
      tokensPerSecond: field('samples_ts', isNumbers),
    };
  });
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every(isNumber);
