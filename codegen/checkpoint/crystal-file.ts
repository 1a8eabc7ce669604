/** .crystal files as checkpoints: sections decoded to the tensors of the PyTorch module. */
import { basename, resolve } from 'node:path';
import { EmbedError } from '../diagnostics/error.js';
import { BoundedFile } from './bounded-file.js';
import type { Checkpoint } from './checkpoint.js';
import {
  type CrystalCompletion,
  type StoredScale,
  type UnscaledTensor,
  unscaledTensors,
} from './crystal-completion.js';
import {
  bytesOfMode,
  type CrystalHeader,
  crystalFileConfig,
  crystalHeaderBytes,
  readCrystalHeader,
} from './crystal-header.js';
import { bindCrystalTensors, crystalShapes } from './crystal-tensors.js';
import { FileSet } from './file-set.js';
import { rowsAndColumns } from './stored-tensor.js';
import type { SourceTensor, TensorSource } from './tensor-source.js';
import { ViewedCheckpoint } from './tensor-view.js';

/** Larger files are no models of this kind: the format's own limits allow 16 GB. */
const mostFileBytes = 1 << 30;

/** Numbers read one after another from a file's bytes; integers become reals as the C runtime of the project makes them. */
class CrystalReader {
  private readonly view: DataView;

  constructor(
    readonly where: string,
    readonly bytes: Uint8Array,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  uint16(offset: number): number {
    return this.view.getUint16(offset, true);
  }

  uint32(offset: number): number {
    return this.view.getUint32(offset, true);
  }

  /** (float)q * scale + offset, rounded to float32 twice; float32 numbers as they stand. Throws EM1010 for NaN and infinities. */
  numbers(
    offset: number,
    count: number,
    size: 1 | 2 | 4,
    { scale, offset: shift }: StoredScale,
  ): Float32Array {
    const out = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      const at = offset + i * size;
      if (size === 4) out[i] = this.view.getFloat32(at, true);
      else {
        const q = size === 1 ? this.view.getInt8(at) : this.view.getInt16(at, true);
        out[i] = Math.fround(Math.fround(q * Math.fround(scale)) + Math.fround(shift));
      }
    }
    const bad = out.findIndex((v) => !Number.isFinite(v));
    if (bad < 0) return out;
    throw new EmbedError('EM1010', {
      where: this.where,
      why: `number ${bad} from byte ${offset} is ${out[bad]}`,
    });
  }

  floats(offset: number, count: number): Float32Array {
    return this.numbers(offset, count, 4, unscaled);
  }

  /** A scale and an offset, float32 each. */
  scale(offset: number): StoredScale {
    const [scale, shift] = this.floats(offset, 2);
    return { scale: scale!, offset: shift! };
  }
}

const unscaled: StoredScale = { scale: 1, offset: 0 };

/** Whether a file lacks scales that its integers were stored with. */
export function missingScales({ version, mode }: CrystalHeader): readonly UnscaledTensor[] {
  if (version === 2 || mode === 'float32') return [];
  return mode === 'mixed' || mode === 'mixed8' ? ['values', 'temperature'] : unscaledTensors;
}

/** What decides the scales that a file does not have: the user, or the file's own reader, which takes those of other tensors. */
export type CompletionChoice = CrystalCompletion | 'as-runtime' | null;

/** Scales of a version 1 file. Throws EM1061 where some are missing. */
function scalesOf(reader: CrystalReader, header: CrystalHeader, completion: CompletionChoice) {
  const [embed, weight, head, headBias] = [0, 1, 2, 3].map((i) => reader.scale(header.at.quant! + 8 * i));
  const missing = missingScales(header);
  const given = completion === 'as-runtime' || completion === null ? {} : (completion.scales ?? {});
  const lacking = missing.filter((name) => given[name] === undefined);
  if (completion !== 'as-runtime' && lacking.length > 0) {
    const why = `it stores ${header.mode} numbers but not the scales of ${lacking.join(', ')}, which its compiler forgot`;
    throw new EmbedError('EM1061', { where: reader.where, why });
  }
  const own = (name: UnscaledTensor, runtime: StoredScale) => given[name] ?? runtime;
  return {
    ...{ embed: embed!, weight: weight!, head: head!, headBias: headBias! },
    positions: own('pos_embed', embed!),
    values: own('values', weight!),
    temperature: own('temperature', weight!),
  };
}

type Tensors = Map<string, Float32Array>;

/** Frozen and active neurons, each row a position and a value. Frozen rows are stored once for all that are equal. */
function neurons1(
  reader: CrystalReader,
  header: CrystalHeader,
  scales: ReturnType<typeof scalesOf>,
  tensors: Tensors,
) {
  const { at, dim, frozen, active, patterns, neurons, mode } = header;
  const size = bytesOfMode(mode).rest;
  const counts = [reader.uint32(at.pattern!), reader.uint32(at.active!)];
  if (counts[0] !== patterns || counts[1] !== active) {
    const why = `sections hold ${counts[0]} patterns and ${counts[1]} active neurons, the header says ${patterns} and ${active}`;
    throw new EmbedError('EM1060', { where: reader.where, why });
  }
  const positions = new Float32Array(neurons * dim);
  const values = new Float32Array(neurons * dim);
  const put = (neuron: number, offset: number) => {
    positions.set(reader.numbers(offset, dim, size, scales.weight), neuron * dim);
    values.set(reader.numbers(offset + dim * size, dim, size, scales.values), neuron * dim);
  };
  for (let i = 0; i < frozen; i++) {
    const pattern = reader.uint16(at.mapping! + 2 * i);
    if (pattern >= patterns) {
      const why = `frozen neuron ${i} is pattern ${pattern} of ${patterns}`;
      throw new EmbedError('EM1060', { where: reader.where, why });
    }
    put(i, at.pattern! + 4 + pattern * 2 * dim * size);
  }
  for (let i = 0; i < active; i++) put(frozen + i, at.active! + 4 + i * 2 * dim * size);
  tensors.set('attention.positions', positions).set('attention.values', values);
}

function feedForward(reader: CrystalReader, { at, dim, hidden }: CrystalHeader, tensors: Tensors): void {
  const second = at.ffn! + 4 * (hidden * dim + hidden);
  tensors.set('ffn.0.weight', reader.floats(at.ffn!, hidden * dim));
  tensors.set('ffn.0.bias', reader.floats(at.ffn! + 4 * hidden * dim, hidden));
  tensors.set('ffn.2.weight', reader.floats(second, dim * hidden));
  tensors.set('ffn.2.bias', reader.floats(second + 4 * dim * hidden, dim));
}

function norms(
  reader: CrystalReader,
  { at, dim }: CrystalHeader,
  names: readonly string[],
  tensors: Tensors,
): void {
  names.forEach((name, i) => {
    tensors.set(`${name}.weight`, reader.floats(at.norm! + 8 * dim * i, dim));
    tensors.set(`${name}.bias`, reader.floats(at.norm! + 8 * dim * i + 4 * dim, dim));
  });
}

/** Tensors of a version 1 file, in the order of its neurons. */
function decode1(reader: CrystalReader, header: CrystalHeader, completion: CompletionChoice): Tensors {
  const { at, vocab, dim, context, neurons, mode } = header;
  const { embed, rest } = bytesOfMode(mode);
  const scales = scalesOf(reader, header, completion);
  const tensors: Tensors = new Map();
  tensors.set('token_embed.weight', reader.numbers(at.embed!, vocab * dim, embed, scales.embed));
  tensors.set('pos_embed.weight', reader.numbers(at.pos!, context * dim, embed, scales.positions));
  neurons1(reader, header, scales, tensors);
  const stored = reader.numbers(at.temperature!, neurons, rest, scales.temperature);
  const order = completion === null || completion === 'as-runtime' ? undefined : completion.order;
  if (order !== undefined && order.length !== neurons) {
    const why = `order names ${order.length} neurons, ${reader.where} has ${neurons}`;
    throw new EmbedError('EM1062', { where: '--scales', why });
  }
  tensors.set(
    'attention.temperature',
    order === undefined ? stored : stored.map((_, i) => stored[order[i]!]!),
  );
  feedForward(reader, header, tensors);
  tensors.set('head.weight', reader.numbers(at.head!, vocab * dim, rest, scales.head));
  tensors.set('head.bias', reader.numbers(at.head! + vocab * dim * rest, vocab, rest, scales.headBias));
  norms(reader, header, ['norm1', 'norm2'], tensors);
  return tensors;
}

/** Tensors of a version 2 file. */
function decode2(reader: CrystalReader, header: CrystalHeader): Tensors {
  const { at, vocab, dim, context, neurons, heads, mode, headScales } = header;
  const field = heads > 0 ? 'geo_attn' : 'attention';
  const tensors: Tensors = new Map();
  tensors.set('token_embed.weight', reader.floats(at.embed!, vocab * dim));
  tensors.set('pos_embed.weight', reader.floats(at.pos!, context * dim));
  if (heads > 0) {
    const step = 4 * (dim * dim + dim);
    ['q', 'k', 'v', 'out'].forEach((name, i) => {
      const from = at.causal! + i * step;
      tensors.set(`causal_attn.${name}_proj.weight`, reader.floats(from, dim * dim));
      tensors.set(`causal_attn.${name}_proj.bias`, reader.floats(from + 4 * dim * dim, dim));
    });
  }
  tensors.set(`${field}.positions`, reader.floats(at.geo!, neurons * dim));
  tensors.set(`${field}.values`, reader.floats(at.geo! + 4 * neurons * dim, neurons * dim));
  tensors.set(`${field}.temperature`, reader.floats(at.geo! + 8 * neurons * dim, neurons));
  feedForward(reader, header, tensors);
  const scaled = mode === 'mixed8';
  const size = scaled && !headScales ? 1 : 4;
  const [weight, bias] = scaled ? [reader.scale(at.head!), reader.scale(at.head! + 8)] : [unscaled, unscaled];
  const from = at.head! + (scaled ? 16 : 0);
  tensors.set('head.weight', reader.numbers(from, vocab * dim, size, weight));
  tensors.set('head.bias', reader.numbers(from + vocab * dim * size, vocab, size, bias));
  norms(reader, header, heads > 0 ? ['norm_causal', 'norm_geo', 'norm_ffn'] : ['norm1', 'norm2'], tensors);
  return tensors;
}

/** What a reader should know of a file before trusting its numbers; empty where nothing is in doubt. */
function doubts(header: CrystalHeader, tensors: Tensors, completion: CompletionChoice): string[] {
  const found: string[] = [];
  const known = completion !== null && completion !== 'as-runtime';
  if (completion === 'as-runtime' && missingScales(header).length > 0)
    found.push(
      `scales of ${missingScales(header).join(', ')} are not stored; shown as if they were those of other tensors`,
    );
  const temperatures = tensors.get('attention.temperature');
  const ordered = header.version === 2 || (known && completion.order !== undefined);
  const mixed = header.frozen > 0 && header.frozen < header.neurons;
  if (!ordered && mixed && temperatures?.some((t) => t !== temperatures[0])) {
    found.push(
      `neurons stand frozen first, temperatures in the order of the model, and the file does not say which were frozen: ` +
        `temperatures are right only where the first ${header.frozen} neurons are the frozen ones; --scales can give the order`,
    );
  }
  return found;
}

/** The tensors of a file by the names of the PyTorch module, in memory. */
class CrystalTensors implements TensorSource {
  readonly tensors: ReadonlyMap<string, SourceTensor>;

  constructor(
    readonly where: string,
    private readonly values: Tensors,
    shapes: ReadonlyMap<string, readonly number[]>,
  ) {
    this.tensors = new Map([...shapes].map(([name, shape]) => [name, { dtype: 'F32', shape }]));
  }

  readRows(name: string, firstRow: number, rowCount: number): Float32Array {
    const [, columns] = rowsAndColumns(this.tensors.get(name)!.shape);
    return this.values.get(name)!.slice(firstRow * columns, (firstRow + rowCount) * columns);
  }
}

/** Reads the header of a file alone. Throws EM1001, EM1060. */
export function readCrystalFileHeader(path: string): CrystalHeader {
  const file = BoundedFile.open(path);
  try {
    return headerOf(file);
  } finally {
    file.close();
  }
}

function headerOf(file: BoundedFile): CrystalHeader {
  const start = new Uint8Array(Math.min(crystalHeaderBytes, file.size));
  file.read(0, start);
  return readCrystalHeader(file.path, start, file.size);
}

/**
 * Opens a .crystal file. Version 2 and float32 files hold what the model holds, but for the order of temperatures (see its warnings);
 * other files of version 1 need `completion`, or 'as-runtime' to be looked at. Throws EM1001, EM1010, EM1060, EM1061, EM1062.
 */
export function openCrystalFile(path: string, completion: CompletionChoice): Checkpoint {
  return FileSet.build((files) => {
    const file = files.open(path);
    if (file.size > mostFileBytes)
      throw new EmbedError('EM1060', {
        where: path,
        why: `has ${file.size} bytes; at most ${mostFileBytes} are read`,
      });
    const header = headerOf(file);
    const bytes = new Uint8Array(file.size);
    file.read(0, bytes);
    const reader = new CrystalReader(path, bytes);
    const tensors = header.version === 1 ? decode1(reader, header, completion) : decode2(reader, header);
    const config = crystalFileConfig(header);
    const source = new CrystalTensors(path, tensors, crystalShapes(config));
    const views = bindCrystalTensors(source, config);
    const name = basename(resolve(path));
    const warnings = doubts(header, tensors, completion);
    const text = `.crystal file of version ${header.version}`;
    return new ViewedCheckpoint(path, name, 'crystal', text, config, source, views, files, warnings);
  });
}
