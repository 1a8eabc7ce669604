/** A bundle and llama.cpp on the same work, one after the other, again and again: what the machine does meanwhile hits both. */
import type { BenchResult } from '../../../deploy/bench-bundle.js';
import { runEmbedModel } from '../run-embed-model.js';
import { type LlamaTest, runLlamaBench } from './llama-bench.js';

export interface ComparedWork {
  readonly bundle: string;
  readonly gguf: string;
  readonly llamaBench: string;
  readonly threads: number;
  /** Tokens of the prompt, and tokens generated from nothing. */
  readonly tokens: number;
  /** Times that both are measured. */
  readonly pairs: number;
  /** What starts a program whose time is measured. */
  readonly prefix: readonly string[];
}

/** Tokens a second of one pair of runs. */
export interface Pair {
  readonly embedModel: number;
  readonly llama: number;
}

export interface Comparison {
  readonly llama: Pick<LlamaTest, 'buildCommit' | 'modelType' | 'modelParameters' | 'modelBytes'>;
  readonly bundle: Pick<BenchResult, 'target' | 'model' | 'quantization' | 'files'>;
  readonly threads: number;
  readonly tokens: number;
  readonly prefill: readonly Pair[];
  readonly decode: readonly Pair[];
}

const repetitions = 3;

/**
 * Decode begins with an empty context for both. The bundle's time has the choice of the token in it, llama-bench's has not.
 * Throws where the two are not of one shape.
 */
export async function compareEngines(
  work: ComparedWork,
  onPair: (pair: number) => void,
): Promise<Comparison> {
  const { bundle, gguf, llamaBench, threads, tokens, pairs, prefix } = work;
  const prefill: Pair[] = [];
  const decode: Pair[] = [];
  let facts: Pick<Comparison, 'llama' | 'bundle'> | undefined;
  for (let pair = 0; pair < pairs; pair++) {
    onPair(pair);
    const request = { gguf, promptTokens: tokens, generatedTokens: tokens, threads, repetitions };
    const tests = await runLlamaBench(llamaBench, request, prefix);
    const prompt = tests.find((test) => test.generatedTokens === 0);
    const generation = tests.find((test) => test.promptTokens === 0);
    if (prompt === undefined || generation === undefined) throw new Error('llama-bench left out a test');
    const read = await bench(bundle, tokens, 1, threads, prefix);
    const written = await bench(bundle, 1, tokens + 1, threads, prefix);
    requireOneShape(read, prompt);
    prefill.push({ embedModel: read.speed.promptTokensPerSecond!, llama: median(prompt.tokensPerSecond) });
    decode.push({
      embedModel: written.speed.tokensPerSecond.median!,
      llama: median(generation.tokensPerSecond),
    });
    facts ??= { llama: prompt, bundle: read };
  }
  return { ...facts!, threads, tokens, prefill, decode };
}

async function bench(
  bundle: string,
  prompt: number,
  tokens: number,
  threads: number,
  prefix: readonly string[],
) {
  const sizes = [
    '--prompt-tokens',
    prompt,
    '--tokens',
    tokens,
    '--threads',
    threads,
    '--repeat',
    repetitions,
  ];
  const words = ['bench', bundle, '--host', ...sizes.map(String), '--json', '--quiet'];
  const { stdout } = await runEmbedModel(words, { prefix, accepted: [0, 1] });
  return JSON.parse(stdout) as BenchResult;
}

/** Counts of parameters agree but for what formats count differently, such as norms. */
export function requireOneShape(
  { model }: Pick<BenchResult, 'model'>,
  { modelParameters }: Pick<LlamaTest, 'modelParameters'>,
): void {
  if (Math.abs(model.parameters / modelParameters - 1) > 0.01) {
    throw new Error(
      `the bundle has ${model.parameters} parameters, the GGUF file ${modelParameters}: not one shape`,
    );
  }
}

export function median(values: readonly number[]): number {
  const ascending = [...values].sort((a, b) => a - b);
  const half = ascending.length >> 1;
  return ascending.length % 2 === 1 ? ascending[half]! : (ascending[half - 1]! + ascending[half]!) / 2;
}

/** A Markdown table: medians of both, and of the ratios of pairs, with the least and the largest. */
export function comparisonMarkdown(comparison: Comparison): string {
  const { llama, bundle, threads, tokens, prefill, decode } = comparison;
  const row = (what: string, pairs: readonly Pair[]) => {
    const ratios = pairs.map(({ embedModel, llama: theirs }) => embedModel / theirs);
    const cells = [
      what,
      median(pairs.map(({ embedModel }) => embedModel)).toFixed(0),
      median(pairs.map((pair) => pair.llama)).toFixed(0),
      `${median(ratios).toFixed(2)}x`,
      `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`,
    ];
    return `| ${cells.join(' | ')} |`;
  };
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  return [
    `${bundle.model.name} ${bundle.quantization.name} for ${bundle.target} (${megabytes(bundle.files.blobBytes)}) and llama.cpp ` +
      `${llama.buildCommit}, ${llama.modelType} (${megabytes(llama.modelBytes)}); ${threads} thread${threads === 1 ? '' : 's'}, ` +
      `${decode.length} pairs, tokens/s:`,
    '',
    '| | embed-model | llama.cpp | ratio | of pairs |',
    '| --- | ---: | ---: | ---: | ---: |',
    row(`prefill of ${tokens}`, prefill),
    row(`decode of ${tokens}`, decode),
  ].join('\n');
}
