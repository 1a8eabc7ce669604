import type { Checkpoint, TensorInfo } from '../checkpoint/checkpoint.js';
import type { DecoderConfig } from '../checkpoint/config.js';
import { rowsAndColumns } from '../checkpoint/stored-tensor.js';
import { newIds } from './pruned-tokenizer.js';

/** Tensors with a row a token, as the families name them. */
const tokenRows = /(^|\.)(embed_tokens|wte|tok_emb|token_embed|lm_head|head)\.(weight|bias)$/;

/**
 * A checkpoint whose embedding and head have the rows of the tokens `kept` alone (ascending old ids). Its hash is still
 * that of the files.
 */
export class PrunedCheckpoint implements Checkpoint {
  readonly path: string;
  readonly format: Checkpoint['format'];
  readonly formatText: string;
  readonly name: string;
  readonly config: DecoderConfig;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  private readonly pruned = new Set<string>();

  constructor(
    private readonly full: Checkpoint,
    private readonly kept: Int32Array,
  ) {
    const { vocabSize, bosId, eosIds } = full.config;
    const newId = newIds(vocabSize, kept);
    this.path = full.path;
    this.format = full.format;
    this.formatText = full.formatText;
    this.name = full.name;
    this.config = {
      ...full.config,
      vocabSize: kept.length,
      bosId: bosId === null || newId[bosId]! < 0 ? null : newId[bosId]!,
      eosIds: eosIds.map((id) => newId[id]!).filter((id) => id >= 0),
    };
    this.tensors = new Map(
      [...full.tensors].map(([name, info]) => {
        if (!tokenRows.test(name) || info.shape[0] !== vocabSize) return [name, info];
        this.pruned.add(name);
        return [name, { ...info, shape: [kept.length, ...info.shape.slice(1)] }];
      }),
    );
  }

  readRows(name: string, firstRow: number, rowCount: number): Float32Array {
    if (!this.pruned.has(name)) return this.full.readRows(name, firstRow, rowCount);
    const rows = this.kept.subarray(firstRow, firstRow + rowCount);
    if (rows.length !== rowCount) throw new RangeError(`${name}: rows ${firstRow} + ${rowCount}`);
    const [, columns] = rowsAndColumns(this.tensors.get(name)!.shape);
    const out = new Float32Array(rowCount * columns);
    // Neighbours are read together.
    for (let at = 0, end = 0; at < rowCount; at = end) {
      for (end = at + 1; end < rowCount && rows[end] === rows[end - 1]! + 1; ) end++;
      out.set(this.full.readRows(name, rows[at]!, end - at), at * columns);
    }
    return out;
  }

  gridOf(name: string): ReturnType<NonNullable<Checkpoint['gridOf']>> {
    return this.pruned.has(name) ? undefined : this.full.gridOf?.(name);
  }

  sha256(): string {
    return this.full.sha256();
  }

  close(): void {
    this.full.close();
  }
}
