/**
 * Reader of the runner's machine records (templates/runner/records.h), off a pipe or a serial line that drops, adds or
 * garbles characters:
 *
 *     em1 <sequence> <kind> key=value key=value *<crc32c>
 *
 * A record counts only with its checksum right. It may stand anywhere in a line, because what a kernel prints can share one.
 */
import { crc32c } from '../codegen/layout/crc32c.js';

export interface ReadyRecord {
  readonly kind: 'ready';
  /** Build id, 64 hex digits: must equal the manifest's. */
  readonly build: string;
  readonly model: string;
  readonly target: string;
  readonly abi: number;
  readonly vocab: number;
  readonly context: number;
  /** Fraction bits of the logits. */
  readonly logitsFrac: number;
}

export interface PromptRecord {
  readonly kind: 'prompt';
  /** Position of the first of these ids. */
  readonly first: number;
  readonly ids: readonly number[];
}

export interface TokenRecord {
  readonly kind: 'token';
  /** From 0, generated tokens only. */
  readonly index: number;
  readonly id: number;
  /** Nanoseconds of the decode of the token before (the first has none) and of sampling. */
  readonly ns: number;
  /** Whole UTF-8 sequences that this token completed; can be empty. */
  readonly text: string;
}

export interface DigestRecord {
  readonly kind: 'digest';
  readonly positions: number;
  /** 64 bits as 16 hex digits. */
  readonly value: string;
}

export interface TimingRecord {
  readonly kind: 'timing';
  readonly threads: number;
  readonly promptTokens: number;
  readonly promptNs: number;
  /** Whether the prompt's time includes the logits of every position, as a digest needs them. */
  readonly allLogits: boolean;
  /** Decode steps: one less than the tokens, because the first comes from the prompt. */
  readonly decoded: number;
  readonly decodeNs: number;
  /** Nanoseconds a decode step, nearest-rank percentiles; zeros without a step. */
  readonly min: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  readonly milliTokensPerSecond: number;
}

/** Bytes. arena = state + kv + activations. */
export interface MemoryRecord {
  readonly kind: 'memory';
  readonly arena: number;
  readonly state: number;
  readonly kv: number;
  readonly activations: number;
  readonly blob: number;
  /** Peak resident set, mapped weights included; null where the system does not tell. */
  readonly peakRss: number | null;
}

export interface DoneRecord {
  readonly kind: 'done';
  readonly reason: 'length' | 'end';
  readonly tokens: number;
  /** What was left of an unfinished UTF-8 sequence. */
  readonly text: string;
}

export interface ErrorRecord {
  readonly kind: 'error';
  /** An em_status by its name, or "usage", "input", "system". */
  readonly status: string;
  readonly exit: number;
  readonly message: string;
}

export type RunRecord =
  | ReadyRecord
  | PromptRecord
  | TokenRecord
  | DigestRecord
  | TimingRecord
  | MemoryRecord
  | DoneRecord
  | ErrorRecord;

export type StreamEvent =
  | { readonly type: 'record'; readonly sequence: number; readonly record: RunRecord }
  /** Records [expected, found) never came. Precedes the record with sequence `found`. */
  | { readonly type: 'gap'; readonly expected: number; readonly found: number }
  /** What is no record: kernel messages, a shell prompt. */
  | { readonly type: 'noise'; readonly text: string }
  /** What looks like a record and is not counted. */
  | { readonly type: 'damaged'; readonly text: string; readonly why: string };

/** Longer lines than any record's are cut, so that a line that never ends cannot fill memory. */
const LINE_LIMIT = 65_536;
const MARK = 'em1 ';
/** From MARK to the checksum; a '*' stands nowhere else in a record. */
const RECORD = /em1 (0|[1-9][0-9]{0,9}) ([a-z]+)((?: [a-z0-9_]+=[!-)+-<>-~]*)*) \*([0-9a-f]{8})/y;

/** Takes the stream in pieces of any size and yields what is in it. */
export class RecordParser {
  /** Bytes of the unfinished line, as Latin-1. */
  private pending = '';
  private expected = 0;

  push(chunk: Uint8Array): StreamEvent[] {
    const lines = (this.pending + Buffer.from(chunk).toString('latin1')).split('\n');
    this.pending = lines.pop() ?? '';
    if (this.pending.length > LINE_LIMIT) {
      lines.push(this.pending);
      this.pending = '';
    }
    return lines.flatMap((line) => this.parseLine(line));
  }

  /** What stands on the last line, when the stream is at its end. */
  end(): StreamEvent[] {
    const line = this.pending;
    this.pending = '';
    return this.parseLine(line);
  }

  private parseLine(line: string): StreamEvent[] {
    const events: StreamEvent[] = [];
    let done = 0;
    for (let at = line.indexOf(MARK); at !== -1; at = line.indexOf(MARK, at)) {
      RECORD.lastIndex = at;
      const match = RECORD.exec(line);
      if (match === null || !checksumHolds(match)) {
        at += 1;
        continue;
      }
      events.push(...describeRest(line.slice(done, at)), ...this.accept(match));
      at = done = RECORD.lastIndex;
    }
    return [...events, ...describeRest(line.slice(done))];
  }

  private accept([text, digits, kind, fields]: RegExpExecArray): StreamEvent[] {
    const sequence = Number(digits);
    const restarts = sequence === 0 && kind === 'ready';
    if (sequence < this.expected && !restarts) return [{ type: 'damaged', text, why: 'record came before' }];
    const record = readRecord(kind, fields);
    const gap: StreamEvent[] =
      sequence > this.expected ? [{ type: 'gap', expected: this.expected, found: sequence }] : [];
    this.expected = sequence + 1;
    if (typeof record === 'string') return [...gap, { type: 'damaged', text, why: record }];
    return [...gap, { type: 'record', sequence, record }];
  }
}

function checksumHolds([text, , , , checksum]: RegExpExecArray): boolean {
  const covered = Buffer.from(text.slice(0, text.length - checksum.length - 1), 'latin1');
  return crc32c(covered).toString(16).padStart(8, '0') === checksum;
}

function describeRest(rest: string): StreamEvent[] {
  const text = Buffer.from(rest, 'latin1').toString('utf8').trim();
  if (text === '') return [];
  return text.includes(MARK) ? [{ type: 'damaged', text, why: 'checksum' }] : [{ type: 'noise', text }];
}

/** Values of a record by key, each taken as what it must be. */
class Fields {
  private readonly values: ReadonlyMap<string, string>;
  /** The first value that was not what it must be, or null. */
  fault: string | null = null;

  constructor(text: string) {
    const pairs = text.split(' ').filter((pair) => pair !== '');
    this.values = new Map(
      pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
    );
  }

  has(key: string): boolean {
    return this.values.has(key);
  }

  integer(key: string): number {
    const value = Number(this.matching(key, /^(0|[1-9][0-9]*)$/));
    if (!Number.isSafeInteger(value)) this.fault ??= key;
    return value;
  }

  integers(key: string): number[] {
    return this.matching(key, /^[0-9]{1,10}(,[0-9]{1,10})*$/)
      .split(',')
      .map(Number);
  }

  hex(key: string, digits: number): string {
    const value = this.matching(key, /^[0-9a-f]*$/);
    if (value.length !== digits) this.fault ??= key;
    return value;
  }

  text(key: string): string {
    const escaped = this.matching(key, /^([^%]|%[0-9A-F]{2})*$/);
    const bytes = escaped.replace(/%(..)/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
    return Buffer.from(bytes, 'latin1').toString('utf8');
  }

  oneOf<T extends string>(key: string, choices: readonly T[]): T {
    const value = this.values.get(key);
    const choice = choices.find((candidate) => candidate === value);
    if (choice === undefined) this.fault ??= key;
    return choice ?? choices[0];
  }

  private matching(key: string, pattern: RegExp): string {
    const value = this.values.get(key);
    if (value !== undefined && pattern.test(value)) return value;
    this.fault ??= key;
    return '';
  }
}

/** The record, or why it is none: a kind or a value that this version does not know. */
function readRecord(kind: string, text: string): RunRecord | string {
  const reader = readers.get(kind);
  if (reader === undefined) return `unknown kind ${kind}`;
  const fields = new Fields(text);
  const record = reader(fields);
  return fields.fault === null ? record : `value of ${fields.fault}`;
}

const readers: ReadonlyMap<string, (fields: Fields) => RunRecord> = new Map<
  string,
  (fields: Fields) => RunRecord
>([
  [
    'ready',
    (fields) => ({
      kind: 'ready',
      build: fields.hex('build', 64),
      model: fields.text('model'),
      target: fields.text('target'),
      abi: fields.integer('abi'),
      vocab: fields.integer('vocab'),
      context: fields.integer('context'),
      logitsFrac: fields.integer('logits_frac'),
    }),
  ],
  ['prompt', (fields) => ({ kind: 'prompt', first: fields.integer('first'), ids: fields.integers('ids') })],
  [
    'token',
    (fields) => ({
      kind: 'token',
      index: fields.integer('index'),
      id: fields.integer('id'),
      ns: fields.integer('ns'),
      text: fields.text('text'),
    }),
  ],
  [
    'digest',
    (fields) => ({ kind: 'digest', positions: fields.integer('positions'), value: fields.hex('value', 16) }),
  ],
  [
    'timing',
    (fields) => ({
      kind: 'timing',
      threads: fields.integer('threads'),
      promptTokens: fields.integer('prompt_tokens'),
      promptNs: fields.integer('prompt_ns'),
      allLogits: fields.oneOf('all_logits', ['0', '1']) === '1',
      decoded: fields.integer('decoded'),
      decodeNs: fields.integer('decode_ns'),
      min: fields.integer('min'),
      p50: fields.integer('p50'),
      p90: fields.integer('p90'),
      p99: fields.integer('p99'),
      max: fields.integer('max'),
      milliTokensPerSecond: fields.integer('milli_tokens_per_s'),
    }),
  ],
  [
    'memory',
    (fields) => ({
      kind: 'memory',
      arena: fields.integer('arena'),
      state: fields.integer('state'),
      kv: fields.integer('kv'),
      activations: fields.integer('activations'),
      blob: fields.integer('blob'),
      peakRss: fields.has('peak_rss') ? fields.integer('peak_rss') : null,
    }),
  ],
  [
    'done',
    (fields) => ({
      kind: 'done',
      reason: fields.oneOf('reason', ['length', 'end']),
      tokens: fields.integer('tokens'),
      text: fields.text('text'),
    }),
  ],
  [
    'error',
    (fields) => ({
      kind: 'error',
      status: fields.text('status'),
      exit: fields.integer('exit'),
      message: fields.text('message'),
    }),
  ],
]);
