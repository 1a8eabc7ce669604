/** Golden runs as C, for programs that check themselves: the kernel module, and machines without an operating system. */
import type { GoldenRun } from '../bundle/manifest.js';
import { render } from './render.js';

/** Ids of a line, twelve each. */
function idLines(ids: readonly number[]): string[] {
  const lines: string[] = [];
  for (let from = 0; from < ids.length; from += 12) lines.push(`${ids.slice(from, from + 12).join(', ')},`);
  return lines;
}

function runView({ promptIds, tokenIds, sampling, logitsDigest }: GoldenRun, index: number) {
  return {
    index,
    what: sampling.temperatureQ16 === 0 ? 'greedy' : 'sampled',
    ...{ prompt: idLines(promptIds), promptCount: promptIds.length },
    ...{ ids: idLines(tokenIds), count: tokenIds.length },
    ...{ temperature: sampling.temperatureQ16, topK: sampling.topK, topP: sampling.topPQ16 },
    ...{ seed: sampling.seed, digest: logitsDigest },
  };
}

/** golden.h and golden.c. Runs without a token are left out. */
export function emitGolden(golden: readonly GoldenRun[]): Map<string, string> {
  const runs = golden.filter(({ tokenIds }) => tokenIds.length > 0).map(runView);
  return new Map([
    ['golden.h', render('golden/golden.h.hbs', { goldens: runs.length })],
    ['golden.c', render('golden/golden.c.hbs', { runs })],
  ]);
}
