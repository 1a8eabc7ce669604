/** Whether the weights of a model can fit into --max-bytes at all, and what would. */
import type { Target } from '../../targets/target.js';
import { EmbedError } from '../diagnostics/error.js';
import type { Graph } from '../graph/graph.js';
import { kernelSetOf } from '../layout/kernel-set.js';
import type { BytesOf } from './allocate-bits.js';
import { type AllocatedFormat, allocatedFormats } from './sensitivity.js';

/** Bytes of the section of a matrix, by its name. */
export function sectionBytes(graph: Graph, { kernelSet }: Pick<Target, 'kernelSet'>): BytesOf {
  const kernels = kernelSetOf(kernelSet);
  const shapes = new Map(graph.matrices.map(({ name, rows, columns }) => [name, { rows, columns }]));
  return (name, format) => {
    const { rows, columns } = shapes.get(name)!;
    return kernels.layoutFor(format).sectionBytes(format, rows, columns);
  };
}

/** Bytes of the sections of all matrices, each in `format`. */
export function bytesInFormat(graph: Graph, target: Target, format: AllocatedFormat): number {
  const bytesOf = sectionBytes(graph, target);
  return graph.matrices.reduce((sum, { name }) => sum + bytesOf(name, format), 0);
}

/** Throws EM2031 where the fewest bits take more than `maxBytes`, `besides` being of other things than matrices. */
export function requireRoom(graph: Graph, target: Target, maxBytes: number, besides = 0): void {
  if (bytesInFormat(graph, target, allocatedFormats[0]) + besides > maxBytes) {
    throw tooLarge(graph, target, maxBytes, besides);
  }
}

/** EM2031, with the vocabulary that would fit where pruning helps. */
export function tooLarge(graph: Graph, target: Target, maxBytes: number, besides: number): EmbedError {
  const least = bytesInFormat(graph, target, allocatedFormats[0]);
  const weights = graph.matrices.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  const room = Math.max(0, maxBytes - besides);
  const bits = ((8 * room) / weights).toFixed(2);
  const vocabulary = graph.matrices.filter(({ rows }) => rows === graph.vocabSize);
  const share = vocabulary.reduce((sum, { rows, columns }) => sum + rows * columns, 0) / weights;
  const rows = Math.floor(graph.vocabSize * (1 - (least - room) / (least * share)));
  const fitting = Math.floor((weights * room) / least / 1e5) / 10;
  const would =
    rows > 0
      ? `a vocabulary of at most ${rows} of its ${graph.vocabSize} tokens would fit`
      : `even without its vocabulary it is too large; models of at most ${fitting} M weights fit`;
  return new EmbedError('EM2031', {
    where: '--max-bytes',
    why:
      `${least + besides} bytes are the least, ${maxBytes} are allowed: that leaves ${bits} bits a weight, ` +
      `and formats begin at ${((8 * least) / weights).toFixed(2)}; ${would}`,
  });
}
