/** A way to a board: commands for its shell and bytes for its files. SSH and serial consoles are such ways. */

export interface CommandOptions {
  readonly timeoutMs: number;
  /** Stops the command; the call then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Gets stdout as it comes; then it is not kept. */
  readonly onStdout?: (chunk: Buffer) => void;
}

export interface CommandEnd {
  /** null where a signal ended it. */
  readonly code: number | null;
  /** Such as SIGSEGV, null where there was none. */
  readonly signal: string | null;
  /** Empty where `onStdout` was given. */
  readonly stdout: string;
  /** At most the last 16 KiB; on a serial console it is a part of stdout. */
  readonly stderr: string;
}

export interface AppendOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** So many more bytes have arrived. */
  readonly onBytes: (count: number) => void;
}

export interface BoardLink {
  readonly kind: 'ssh' | 'serial';
  /** For people: what was connected to. */
  readonly address: string;
  /** Whether it can carry nothing any more. */
  readonly broken: boolean;
  /**
   * Runs a script of a POSIX shell to its end. Throws EM4014 where the connection ends before, EM4035 where the time does. A
   * script that fails is no error but a result.
   */
  run(script: string, options: CommandOptions): Promise<CommandEnd>;
  /**
   * Appends the bytes of a local file from `from` on to a file of the board that has `from` bytes. What arrived stays there if it
   * stops in the middle, and is a prefix of what was sent. Throws EM4014, EM4033, EM4035.
   */
  append(local: string, path: string, from: number, options: AppendOptions): Promise<void>;
  /** Milliseconds that so many bytes will take; null where that is not known and not long. */
  estimateMs(bytes: number): number | null;
  close(): Promise<void>;
}

/** A word for a POSIX shell: within single quotes nothing has a meaning. */
export function shellWord(word: string): string {
  return /^[\w./:=,+@%-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
