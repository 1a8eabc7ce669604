/** What inspect found: for programs and for people. */
export interface Inspection {
  readonly kind:
    | 'checkpoint'
    | 'bundle'
    | 'blob'
    | 'plan'
    | 'result'
    | 'validation report'
    | 'acceptance'
    | 'quantization summary';
  /** Fields of the JSON document, beside `kind`. */
  readonly document: Readonly<Record<string, unknown>>;
  /** Control characters of the file are not in it. */
  readonly text: string;
  /** Checks that failed, in words; empty where all is as it should be. */
  readonly faults: readonly string[];
}
