/** Compiles and runs tokenizer-driver.c with the tokenizer of the runtime. */
import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './shared-data.js';

const runtime = join(projectRoot, 'templates', 'runtime');
const driverSource = join(projectRoot, 'test', 'codegen', 'tokenizer', 'tokenizer-driver.c');

/** The first C compiler of this host. */
export const compiler = ['gcc', 'cc', 'clang'].find(
  (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
);

export const needsCompiler = { skip: compiler === undefined && 'no gcc, cc or clang' };

/** The C files of the tokenizer. */
export const tokenizerSources = readdirSync(runtime)
  .filter((name) => /^em_tokenizer.*\.c$/.test(name))
  .map((name) => join(runtime, name));

export const sanitizers = ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

export type DriverRecord =
  | { readonly text: string | Uint8Array; readonly bos?: boolean; readonly special?: boolean }
  | { readonly ids: readonly number[] };

export interface DriverResult {
  /** em_status. */
  readonly status: number;
  readonly ids: number[];
  /** The ids decoded one by one. */
  readonly text: string;
}

export class TokenizerDriver {
  private readonly folder: string;
  private readonly program: string;

  /** Compiles into `folder`. Throws with the compiler's words if that fails. */
  constructor(folder: string, flags: readonly string[]) {
    this.folder = folder;
    this.program = join(folder, 'tokenizer-driver');
    const warnings = ['-Wall', '-Wextra', '-Werror'];
    const files = [driverSource, ...tokenizerSources];
    const args = ['-std=c11', ...flags, ...warnings, `-I${runtime}`, ...files, '-o', this.program];
    const { status, stderr } = spawnSync(compiler!, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
  }

  /** Runs records through a table. */
  run(table: Uint8Array, records: readonly DriverRecord[]): DriverResult[] {
    const output = this.spawn(table, [], Buffer.concat(records.map(encodeRecord)));
    let at = 0;
    const word = () => {
      at += 4;
      return output.readInt32LE(at - 4);
    };
    return records.map(() => {
      const status = word();
      const ids = Array.from({ length: word() }, word);
      const bytes = word();
      at += bytes;
      return { status, ids, text: output.toString('utf8', at - bytes, at) };
    });
  }

  /** Runs one of the other modes of the driver; its standard output. */
  runMode(table: Uint8Array, ...mode: readonly string[]): string {
    return this.spawn(table, mode, Buffer.alloc(0)).toString();
  }

  private spawn(table: Uint8Array, mode: readonly string[], input: Buffer): Buffer {
    const path = join(this.folder, 'tokenizer.table');
    writeFileSync(path, table);
    const result = spawnSync(this.program, [path, ...mode], { input, maxBuffer: 2 ** 28 });
    if (result.status === 0) return result.stdout;
    throw new Error(`driver: status ${result.status}, signal ${result.signal}\n${result.stderr}`);
  }
}

function encodeRecord(record: DriverRecord): Buffer {
  const kind = 'ids' in record ? 4 : (record.bos ? 1 : 0) + (record.special ? 2 : 0);
  const payload =
    'ids' in record ? Buffer.from(Int32Array.from(record.ids).buffer) : Buffer.from(record.text);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(kind, 0);
  head.writeUInt32LE(payload.length, 4);
  return Buffer.concat([head, payload]);
}
