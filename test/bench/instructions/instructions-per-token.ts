/** Guest instructions of a bundle's program, by differences between runs: what a run costs in any case cancels out. */
import { join } from 'node:path';
import type { Target } from '../../../targets/target.js';
import { type BlockCounter, blockDifference, type CountedBlock, countInstructions } from './block-counter.js';

export interface InstructionsPerToken {
  /** A token at contexts 2 to 6, the choice of the next included. */
  readonly decode: number;
  /** A token of a prompt of 64, the logits of the last one included. */
  readonly prefill: number;
  /** What a decoded token costs more for every position in the cache. */
  readonly cachedPosition: number;
  /** The blocks behind `decode`, of all its tokens. */
  readonly decodeBlocks: readonly CountedBlock[];
  /** Tokens behind `decodeBlocks`. */
  readonly decodedTokens: number;
}

const promptTokens = 64;
const decodedTokens = 5;

/**
 * Positions between two decoded tokens whose difference is a cached position's: a multiple of what kernels take at a time, and few, for
 * an emulated prompt of a large model takes minutes.
 */
const cachedPositions = 48;

/** Runs of one thread; `program` may be another than the bundle's, with names. The context must hold 64 positions. */
export async function instructionsPerToken(
  counter: BlockCounter,
  target: Target,
  bundle: string,
  program: string,
): Promise<InstructionsPerToken> {
  const run = (prompt: number, tokens: number) => {
    const ids = Array.from({ length: prompt }, (_, i) => 1 + (i % 100));
    const settings = ['--no-digest', '--no-verify', '--ignore-end', '--threads=1'];
    const request = [`--ids=${ids.join(',')}`, `--tokens=${tokens}`];
    return counter.count(target, program, [join(bundle, 'model.blob'), ...request, ...settings]);
  };
  const total = async (prompt: number, tokens: number) => countInstructions(await run(prompt, tokens));
  const short = await run(1, 1);
  const decodeBlocks = blockDifference(await run(1, 1 + decodedTokens), short);
  const decode = countInstructions(decodeBlocks) / decodedTokens;
  const long = 1 + cachedPositions;
  const decodeInContext = ((await total(long, 1 + decodedTokens)) - (await total(long, 1))) / decodedTokens;
  return {
    decode,
    // A prompt of one token is a decoded token.
    prefill: ((await total(promptTokens, 1)) - countInstructions(short) + decode) / promptTokens,
    cachedPosition: (decodeInContext - decode) / cachedPositions,
    decodeBlocks,
    decodedTokens,
  };
}
