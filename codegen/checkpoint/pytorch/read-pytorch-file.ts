import { EmbedError } from '../../diagnostics/error.js';
import type { BoundedFile } from '../bounded-file.js';
import { storedEntry, type TensorEntry } from '../tensor-entry.js';
import { storageTypes } from './pickle-globals.js';
import { PickleDict, PickleTensor, type PickleValue } from './pickle-values.js';
import { readPickle } from './read-pickle.js';
import { damagedZip, readZipDirectory, type ZipMember } from './zip-directory.js';

/** Far above the pickle of any checkpoint: some 150 bytes a tensor. */
const mostPickleBytes = 64 << 20;
const mostNameLength = 512;

/** Keys under which training scripts keep the parameters, in the order tried. */
const stateKeys = ['model', 'state_dict', 'model_state', 'model_state_dict', 'module'];

export interface PytorchFile {
  /** What was saved. */
  readonly root: PickleDict;
  /** The parameters, by their names without the prefixes of torch.compile and data parallelism. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/**
 * Reads a file of torch.save (the zip format of PyTorch 1.6 and up): a pickle that says what tensors there are, and
 * a member of raw elements for each storage. Of the elements nothing is read. Throws EM1030 (damaged), EM1031 (the
 * pickle wants something that a checkpoint does not need), EM1032 (format of before 1.6).
 */
export function readPytorchFile(file: BoundedFile): PytorchFile {
  refuseLegacy(file);
  const members = readZipDirectory(file);
  const pickles = [...members.keys()].filter((name) => name === 'data.pkl' || name.endsWith('/data.pkl'));
  if (pickles.length !== 1) {
    const found = pickles.length === 0 ? 'no data.pkl' : `${pickles.length} files data.pkl`;
    throw damagedZip(file, `holds ${found}, so torch.save did not write it`);
  }
  const folder = pickles[0]!.slice(0, -'data.pkl'.length);
  requireLittleEndian(file, members.get(`${folder}byteorder`));
  const root = readPickle(
    readMember(file, members.get(pickles[0]!)!, mostPickleBytes),
    `${file.path}, ${pickles[0]}`,
  );
  if (!(root instanceof PickleDict)) throw damagedZip(file, 'holds something that is no dict of tensors');
  const storages = new Map<string, ZipMember>();
  const data = `${folder}data/`;
  for (const [name, member] of members)
    if (name.startsWith(data)) storages.set(name.slice(data.length), member);
  return { root, tensors: readState(file, root, storages) };
}

function refuseLegacy(file: BoundedFile): void {
  const start = new Uint8Array(Math.min(2, file.size));
  file.read(0, start);
  if (start[0] !== 0x80) return;
  throw new EmbedError('EM1032', {
    where: file.path,
    why: `is a bare pickle of protocol ${start[1] ?? '?'}`,
  });
}

function readMember(file: BoundedFile, { name, offset, bytes }: ZipMember, most: number): Uint8Array {
  if (bytes > most) throw damagedZip(file, `${name} has ${bytes} bytes; at most ${most} are read`);
  const content = new Uint8Array(bytes);
  file.read(offset, content);
  return content;
}

/** Files from before PyTorch 2.1 do not say; big-endian machines wrote little-endian files then too. */
function requireLittleEndian(file: BoundedFile, member: ZipMember | undefined): void {
  if (member === undefined) return;
  const order = Buffer.from(readMember(file, member, 16)).toString('latin1');
  if (order !== 'little') throw damagedZip(file, `byteorder is ${JSON.stringify(order)}; little is read`);
}

function readState(
  file: BoundedFile,
  root: PickleDict,
  storages: ReadonlyMap<string, ZipMember>,
): Map<string, TensorEntry> {
  const tensors = new Map<string, TensorEntry>();
  for (const [saved, value] of findState(file, root).named()) {
    if (!(value instanceof PickleTensor)) continue;
    const name = saved.replace(/^(module\.|_orig_mod\.)+/, '');
    if (name.length > mostNameLength) throw damagedZip(file, `a tensor name has ${name.length} characters`);
    if (tensors.has(name)) throw damagedZip(file, `two tensors are called ${name}`);
    tensors.set(name, tensorEntry(file, name, value, storages));
  }
  return tensors;
}

function findState(file: BoundedFile, root: PickleDict): PickleDict {
  const candidates = [...stateKeys.map((key) => root.get(key)), root];
  const state = candidates.find(holdsTensors);
  if (state !== undefined) return state;
  const keys = [...root.named()].map(([key]) => key);
  const found = keys.slice(0, 6).join(', ') || 'nothing';
  throw damagedZip(file, `holds ${found}, but no tensors at the top or under ${stateKeys.join(', ')}`);
}

function holdsTensors(value: PickleValue | undefined): value is PickleDict {
  if (!(value instanceof PickleDict)) return false;
  return [...value.entries.values()].some((entry) => entry instanceof PickleTensor);
}

function tensorEntry(
  file: BoundedFile,
  name: string,
  { storage, offset, shape, strides }: PickleTensor,
  storages: ReadonlyMap<string, ZipMember>,
): TensorEntry {
  const damaged = (why: string) => new EmbedError('EM1030', { where: `${file.path}, ${name}`, why });
  const member = storages.get(storage.key);
  if (member === undefined) throw damaged(`its storage ${JSON.stringify(storage.key)} is not in the archive`);
  const { dtype, bytes } = storageTypes[storage.type]!;
  if (storage.elements * bytes !== member.bytes) {
    throw damaged(`its storage of ${storage.elements} ${dtype} has ${member.bytes} bytes`);
  }
  let elements = 1;
  for (const size of shape) elements *= size;
  if (!Number.isSafeInteger(elements) || offset + elements > storage.elements) {
    throw damaged(`elements ${offset} to ${offset + elements} of a storage of ${storage.elements}`);
  }
  const layout = isRowMajor(shape, strides) ? dtype : `${dtype} with strides ${strides.join(', ')}`;
  return storedEntry(file, { name, dtype: layout, shape }, member.offset + offset * bytes);
}

function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== expected) return false;
    expected *= shape[i]!;
  }
  return true;
}
