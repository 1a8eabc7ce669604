/**
 * Header and layout of .crystal files, versions 1 and 2, as the compilers of the public project write them: 64 bytes of header,
 * little-endian, then sections without padding. Offsets follow from sizes and flags, and a file must have exactly these.
 */
import { EmbedError } from '../diagnostics/error.js';
import { crystalDefaults, mostNeurons } from './crystal-config.js';
import { limits } from './limits.js';

export const crystalHeaderBytes = 64;

/** How numbers are stored: of the whole file in version 1, of the head in version 2, whose other parts are float32. */
export type CrystalMode = 'float32' | 'int8' | 'int16' | 'mixed' | 'mixed8';

export interface CrystalHeader {
  readonly version: 1 | 2;
  readonly flags: number;
  readonly mode: CrystalMode;
  readonly vocab: number;
  readonly dim: number;
  readonly context: number;
  readonly hidden: number;
  readonly neurons: number;
  /** Neurons that training had frozen; they come first in version 1. */
  readonly frozen: number;
  readonly active: number;
  /** Different rows among the frozen neurons of version 1; 0 in version 2, which repeats them. */
  readonly patterns: number;
  /** Heads of causal attention, 0 in flat models. */
  readonly heads: number;
  /** Whether the head is float32 although scales stand before it (version 2, both flags). */
  readonly headScales: boolean;
  /** Byte offsets of the sections, and the end of the file. */
  readonly at: CrystalOffsets;
}

export type CrystalOffsets = Readonly<Record<string, number>> & { readonly end: number };

/** Bits of the flags. */
const flag = {
  vocabulary: 1,
  delta: 2,
  pruned: 4,
  float32: 8,
  int16: 16,
  mixed: 32,
  mixed8: 64,
  causal: 128,
} as const;

function damaged(where: string, why: string): EmbedError {
  return new EmbedError('EM1060', { where, why });
}

/** Bytes of a number in embeddings and in the other tensors of version 1 that are stored as integers. */
export function bytesOfMode(mode: CrystalMode): { readonly embed: 1 | 2 | 4; readonly rest: 1 | 2 | 4 } {
  switch (mode) {
    case 'float32':
      return { embed: 4, rest: 4 };
    case 'int8':
      return { embed: 1, rest: 1 };
    case 'int16':
      return { embed: 2, rest: 2 };
    case 'mixed':
      return { embed: 4, rest: 2 };
    case 'mixed8':
      return { embed: 4, rest: 1 };
  }
}

/** The mode that flags say. Throws EM1060 for combinations that no compiler writes. */
function modeOf(where: string, version: number, flags: number): CrystalMode {
  if ((flags & (flag.vocabulary | flag.delta)) !== 0 || flags > 255) {
    throw damaged(where, `flags are 0x${flags.toString(16)}; no compiler writes a vocabulary or deltas`);
  }
  const storage = flags & (flag.float32 | flag.int16 | flag.mixed | flag.mixed8);
  if (version === 2) {
    if (storage === flag.float32) return 'float32';
    if (storage === flag.mixed8 || storage === (flag.float32 | flag.mixed8)) return 'mixed8';
  } else if ((flags & flag.causal) === 0) {
    const modes = new Map<number, CrystalMode>([
      [flag.float32, 'float32'],
      [0, 'int8'],
      [flag.int16, 'int16'],
      [flag.int16 | flag.mixed, 'mixed'],
      [flag.mixed8, 'mixed8'],
    ]);
    const mode = modes.get(storage);
    if (mode !== undefined) return mode;
  }
  throw damaged(where, `flags are 0x${flags.toString(16)}, which version ${version} does not have`);
}

/** Offsets of consecutive sections from the end of the header on. */
function consecutive(sections: readonly (readonly [name: string, bytes: number])[]): CrystalOffsets {
  const at: Record<string, number> = {};
  let end = crystalHeaderBytes;
  for (const [name, bytes] of sections) {
    at[name] = end;
    end += bytes;
  }
  return { ...at, end };
}

type Sizes = Omit<CrystalHeader, 'at' | 'version' | 'flags'>;

function offsets1({
  vocab,
  dim,
  context,
  hidden,
  neurons,
  frozen,
  active,
  patterns,
  mode,
}: Sizes): CrystalOffsets {
  const { embed, rest } = bytesOfMode(mode);
  return consecutive([
    ['quant', 8 * 4],
    ['pattern', 4 + patterns * 2 * dim * rest],
    ['mapping', frozen * 2],
    ['active', 4 + active * 2 * dim * rest],
    ['embed', vocab * dim * embed],
    ['pos', context * dim * embed],
    ['temperature', neurons * rest],
    ['ffn', 4 * (2 * hidden * dim + hidden + dim)],
    ['head', vocab * (dim + 1) * rest],
    ['norm', 4 * 4 * dim],
  ]);
}

function offsets2({ vocab, dim, context, hidden, neurons, heads, mode, headScales }: Sizes): CrystalOffsets {
  const head = vocab * (dim + 1) * (mode === 'mixed8' && !headScales ? 1 : 4);
  return consecutive([
    ['embed', 4 * vocab * dim],
    ['pos', 4 * context * dim],
    ['causal', heads === 0 ? 0 : 4 * 4 * (dim * dim + dim)],
    ['geo', 4 * neurons * (2 * dim + 1)],
    ['ffn', 4 * (2 * hidden * dim + hidden + dim)],
    ['head', head],
    ['norm', 4 * (heads === 0 ? 2 : 3) * 2 * dim],
  ]);
}

/** Names of the offsets as the header has them, by version. */
const stored = {
  1: ['quant', 'pattern', 'mapping', 'active', 'embed', 'pos', 'ffn', 'head'],
  2: ['embed', 'pos', 'causal', 'geo', 'ffn', 'head', 'norm', 'end'],
} as const;

/**
 * Reads and checks a header against the size of its file. Throws EM1060 for what is no such file, or a damaged one.
 *
 * @param header the first 64 bytes, or all there are
 */
export function readCrystalHeader(where: string, header: Uint8Array, fileBytes: number): CrystalHeader {
  if (header.length < crystalHeaderBytes)
    throw damaged(where, `has ${fileBytes} bytes; the header alone takes ${crystalHeaderBytes}`);
  const view = new DataView(header.buffer, header.byteOffset, crystalHeaderBytes);
  const u16 = (index: number) => view.getUint16(12 + 2 * index, true);
  if (view.getUint32(0, true) !== 0x53595243) throw damaged(where, 'does not begin with CRYS');
  const version = view.getUint16(4, true);
  if (version !== 1 && version !== 2)
    throw damaged(where, `is of version ${version}; versions 1 and 2 are read`);
  const flags = view.getUint16(6, true);
  const mode = modeOf(where, version, flags);
  const within = (name: string, value: number, least: number, most: number) => {
    if (value >= least && value <= most) return value;
    throw damaged(where, `${name} is ${value}; expected: ${least} to ${most}`);
  };
  const [dim, neurons, frozen] = [
    within('dimension', u16(0), 1, limits.hiddenSize),
    within('neurons', u16(3), 1, mostNeurons),
    u16(4),
  ];
  const causal = (flags & flag.causal) !== 0;
  const sizes: Sizes = {
    ...{ mode, dim, neurons, frozen, active: u16(5) },
    vocab: within('vocabulary', view.getUint32(8, true), 1, limits.vocabSize),
    context: within('context', u16(1), 1, limits.contextLength),
    hidden: within('hidden', u16(2), 1, limits.intermediateSize),
    patterns: version === 1 ? within('patterns', u16(6), 0, frozen) : 0,
    heads: version === 2 ? within('heads', u16(6), causal ? 1 : 0, causal ? limits.heads : 0) : 0,
    headScales: version === 2 && mode === 'mixed8' && (flags & flag.float32) !== 0,
  };
  if (frozen + sizes.active !== neurons)
    throw damaged(where, `${frozen} frozen and ${sizes.active} active neurons of ${neurons}`);
  if (version === 1) within('pattern dimension', u16(7), 2 * dim, 2 * dim);
  else within('norms', u16(7), causal ? 3 : 2, causal ? 3 : 2);
  if (sizes.heads > 0 && dim % sizes.heads !== 0)
    throw damaged(where, `${sizes.heads} heads do not share ${dim} dimensions evenly`);
  const at = version === 1 ? offsets1(sizes) : shifted(offsets2(sizes), mode === 'mixed8' ? 16 : 0);
  requireOffsets(where, version, view, at, fileBytes);
  return { version, flags, ...sizes, at };
}

/** Offsets where the head begins with scales of so many bytes. */
function shifted(at: CrystalOffsets, bytes: number): CrystalOffsets {
  return { ...at, norm: at.norm! + bytes, end: at.end + bytes };
}

function requireOffsets(
  where: string,
  version: 1 | 2,
  view: DataView,
  at: CrystalOffsets,
  fileBytes: number,
): void {
  stored[version].forEach((name, i) => {
    const found = view.getUint32(32 + 4 * i, true);
    if (found !== at[name]) {
      const what = name === 'end' ? 'the file ends' : `section ${name} begins`;
      throw damaged(where, `${what} at ${found} by the header, at ${at[name]} by the sizes in it`);
    }
  });
  if (fileBytes !== at.end)
    throw damaged(where, `has ${fileBytes} bytes; a model of the sizes in its header has ${at.end}`);
}

/** The config of the decoder in a file; constants that files do not carry are those of the public implementation. */
export function crystalFileConfig(header: CrystalHeader) {
  const { vocab, dim, hidden, heads, context, neurons } = header;
  const { normEpsilon, temperatureFloor, weightSumEpsilon, gelu } = crystalDefaults;
  return {
    ...{ family: 'crystal' as const, architecture: heads > 0 ? 'causal-crystal' : 'crystal' },
    ...{ vocabSize: vocab, hiddenSize: dim, intermediateSize: hidden, layers: 1, heads, kvHeads: heads },
    ...{ headDim: heads === 0 ? 0 : dim / heads, contextLength: context, neurons },
    ...{ normEpsilon, temperatureFloor, weightSumEpsilon, gelu },
    ...{ tiedEmbedding: false, bosId: null, eosIds: [] },
  };
}
