/** What a run on a board came to, put together from its records. */
import type {
  DigestRecord,
  DoneRecord,
  ErrorRecord,
  MemoryRecord,
  ReadyRecord,
  StreamEvent,
  TimingRecord,
  TokenRecord,
} from './records.js';

/** What never came is null, never invented. */
export interface RunOutcome {
  readonly ready: ReadyRecord | null;
  /** Ids the prompt was turned into, as far as they arrived without a hole. */
  readonly promptIds: readonly number[];
  readonly tokens: readonly TokenRecord[];
  /** The generated text. */
  readonly text: string;
  readonly digest: DigestRecord | null;
  readonly timing: TimingRecord | null;
  readonly memory: MemoryRecord | null;
  readonly done: DoneRecord | null;
  readonly error: ErrorRecord | null;
  /** Records that were sent and never came. */
  readonly lostRecords: number;
  /** Whether the run ended well and every record of it is here. */
  readonly complete: boolean;
}

/** Collects the events of one stream. A run that starts over on the same line replaces the one before. */
export class RunCollector {
  private promptIds: number[] = [];
  private tokens: TokenRecord[] = [];
  private lostRecords = 0;
  private latest: Latest = nothing;

  add(event: StreamEvent): void {
    if (event.type === 'gap') this.lostRecords += event.found - event.expected;
    if (event.type !== 'record') return;
    const { record } = event;
    switch (record.kind) {
      case 'ready':
        this.restart(record, event.sequence);
        break;
      case 'prompt':
        if (record.first === this.promptIds.length) this.promptIds.push(...record.ids);
        break;
      case 'token':
        this.tokens.push(record);
        break;
      default:
        this.latest = { ...this.latest, [record.kind]: record };
    }
  }

  outcome(): RunOutcome {
    const { done, error } = this.latest;
    const { promptIds, tokens, lostRecords } = this;
    const text = tokens.map((token) => token.text).join('') + (done?.text ?? '');
    const complete = done !== null && error === null && lostRecords === 0 && done.tokens === tokens.length;
    return { ...this.latest, promptIds, tokens, text, lostRecords, complete };
  }

  private restart(ready: ReadyRecord, sequence: number): void {
    this.promptIds = [];
    this.tokens = [];
    if (sequence === 0) this.lostRecords = 0;
    this.latest = { ...nothing, ready };
  }
}

type Latest = Pick<RunOutcome, 'ready' | 'digest' | 'timing' | 'memory' | 'done' | 'error'>;

const nothing: Latest = { ready: null, digest: null, timing: null, memory: null, done: null, error: null };
