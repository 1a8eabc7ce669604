import {
  PickleDict,
  PickleGlobal,
  PickleList,
  PickleStorage,
  PickleTensor,
  type PickleValue,
} from './pickle-values.js';

/** Types that a storage may have, and how readers call them. */
export const storageTypes: Readonly<Record<string, { readonly dtype: string; readonly bytes: number }>> = {
  'torch.DoubleStorage': { dtype: 'F64', bytes: 8 },
  'torch.FloatStorage': { dtype: 'F32', bytes: 4 },
  'torch.HalfStorage': { dtype: 'F16', bytes: 2 },
  'torch.BFloat16Storage': { dtype: 'BF16', bytes: 2 },
  'torch.LongStorage': { dtype: 'I64', bytes: 8 },
  'torch.IntStorage': { dtype: 'I32', bytes: 4 },
  'torch.ShortStorage': { dtype: 'I16', bytes: 2 },
  'torch.CharStorage': { dtype: 'I8', bytes: 1 },
  'torch.ByteStorage': { dtype: 'U8', bytes: 1 },
  'torch.BoolStorage': { dtype: 'BOOL', bytes: 1 },
};

/** What a pickle may call, with its arguments as plain data. Returns null for arguments that make no sense. */
type Construct = (args: readonly PickleValue[]) => PickleValue | undefined;

const mostDimensions = 8;

const constructors: Readonly<Record<string, Construct>> = {
  'collections.OrderedDict': orderedDict,
  'torch._utils._rebuild_tensor_v2': rebuildTensor,
  // A parameter is its tensor with a flag for training.
  'torch._utils._rebuild_parameter': ([tensor]) => (tensor instanceof PickleTensor ? tensor : undefined),
  'torch.Size': ([sizes]) => (sizes instanceof PickleList ? sizes : undefined),
};

/** Whether a pickle may name this: data types of torch are names and nothing more. */
export function isKnownGlobal(name: string): boolean {
  return (
    Object.hasOwn(constructors, name) ||
    Object.hasOwn(storageTypes, name) ||
    /^torch\.(float64|float32|float16|bfloat16|int64|int32|int16|int8|uint8|bool)$/.test(name)
  );
}

/** What calling `callable` gives; undefined where it is nothing that can be called with these arguments. */
export function construct(callable: PickleValue, args: readonly PickleValue[]): PickleValue | undefined {
  if (!(callable instanceof PickleGlobal) || !Object.hasOwn(constructors, callable.name)) return undefined;
  return constructors[callable.name]!(args);
}

/** ('storage', torch.FloatStorage, '0', 'cpu', 3456): the only persistent id of torch.save. */
export function storageOf(id: PickleValue): PickleStorage | undefined {
  const [kind, type, key, , elements] = id instanceof PickleList ? id.items : [];
  if (kind !== 'storage' || !(type instanceof PickleGlobal) || !Object.hasOwn(storageTypes, type.name))
    return undefined;
  if (typeof key !== 'string' || !isSize(elements)) return undefined;
  return new PickleStorage(type.name, key, elements);
}

function isSize(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function orderedDict(args: readonly PickleValue[]): PickleValue | undefined {
  const dict = new PickleDict();
  const [pairs] = args;
  if (pairs === undefined) return dict;
  if (!(pairs instanceof PickleList)) return undefined;
  for (const pair of pairs.items) {
    if (!(pair instanceof PickleList) || pair.items.length !== 2) return undefined;
    dict.entries.set(pair.items[0]!, pair.items[1]!);
  }
  return dict;
}

/** (storage, offset, size, stride, requires_grad, backward_hooks, metadata). */
function rebuildTensor([storage, offset, size, stride]: readonly PickleValue[]): PickleValue | undefined {
  if (!(storage instanceof PickleStorage) || !isSize(offset)) return undefined;
  if (!(size instanceof PickleList) || !(stride instanceof PickleList)) return undefined;
  const shape = size.items;
  const strides = stride.items;
  if (shape.length !== strides.length || shape.length > mostDimensions) return undefined;
  if (!shape.every(isSize) || !strides.every(isSize)) return undefined;
  return new PickleTensor(storage, offset, shape, strides);
}
