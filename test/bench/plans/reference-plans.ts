/** Plans that an allocation has to be better than: the same format everywhere, and what others choose by rules of thumb. */
import type { AllocatedFormat } from '../../../codegen/allocate/sensitivity.js';
import type { Graph } from '../../../codegen/graph/graph.js';

export interface NamedFormats {
  readonly name: string;
  readonly formats: ReadonlyMap<string, AllocatedFormat>;
}

const layerOf = (matrix: string) => {
  const found = /^layers\.(\d+)\./.exec(matrix);
  return found === null ? null : Number(found[1]);
};

export function referencePlans(graph: Graph): NamedFormats[] {
  const { layerCount } = graph;
  const plan = (name: string, formatOf: (matrix: string, isHead: boolean) => AllocatedFormat) => {
    const isHead = (matrix: { name: string; aliases: readonly string[] }) =>
      [matrix.name, ...matrix.aliases].includes('head');
    return {
      name,
      formats: new Map(graph.matrices.map((one) => [one.name, formatOf(one.name, isHead(one))])),
    };
  };
  /** llama.cpp's rule for layers that get more bits in its "M" mixes (use_more_bits). */
  const isFavoured = (layer: number) =>
    layer < Math.floor(layerCount / 8) ||
    layer >= Math.floor((7 * layerCount) / 8) ||
    (layer - Math.floor(layerCount / 8)) % 3 === 2;
  const isOuter = (layer: number | null) => layer === 0 || layer === layerCount - 1;
  return [
    plan('w4', () => 'w4'),
    plan('w4, head w8', (_, isHead) => (isHead ? 'w8' : 'w4')),
    plan('w4, favoured v and down w6, head w6 (Q4_K_M)', (matrix, isHead) => {
      const layer = layerOf(matrix);
      const isMixed = /\.(attn\.v|mlp\.down)$/.test(matrix);
      return isHead || (isMixed && layer !== null && isFavoured(layer)) ? 'w6' : 'w4';
    }),
    plan('w4, first and last layer, down and head w8', (matrix, isHead) =>
      isHead || matrix.endsWith('.mlp.down') || isOuter(layerOf(matrix)) ? 'w8' : 'w4',
    ),
    plan('w5', () => 'w5'),
    plan('w6', () => 'w6'),
  ];
}
