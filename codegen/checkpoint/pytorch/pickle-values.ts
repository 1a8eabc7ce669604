/** What a pickle of torch.save is made of, as plain data. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleList
  | PickleDict
  | PickleGlobal
  | PickleStorage
  | PickleTensor;

/** A list or a tuple. */
export class PickleList {
  readonly items: PickleValue[];

  constructor(items: PickleValue[]) {
    this.items = items;
  }
}

/** A dict or an OrderedDict. */
export class PickleDict {
  readonly entries = new Map<PickleValue, PickleValue>();

  get(key: PickleValue): PickleValue | undefined {
    return this.entries.get(key);
  }

  /** Text keys with their values. */
  *named(): Generator<[string, PickleValue]> {
    for (const [key, value] of this.entries) if (typeof key === 'string') yield [key, value];
  }
}

/** A name that stands for something of Python; only the few that are listed in pickle-globals.ts. */
export class PickleGlobal {
  constructor(readonly name: string) {}
}

/** Elements of one type in a member of the archive. */
export class PickleStorage {
  constructor(
    /** As torch calls the class, such as torch.FloatStorage. */
    readonly type: string,
    /** The member is data/KEY. */
    readonly key: string,
    readonly elements: number,
  ) {}
}

/** A view of a storage; offset and strides in elements. */
export class PickleTensor {
  constructor(
    readonly storage: PickleStorage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}
