/** What a command would do, found out without writing a file or starting a program. */

export interface PlannedFile {
  readonly path: string;
  /** null: known only when the file is made. */
  readonly bytes: number | null;
}

export interface PlannedCommand {
  /** The program's path and its arguments. */
  readonly command: readonly string[];
  /** The folder it runs in; null: that of this process. */
  readonly cwd: string | null;
}

export interface DryRun {
  /** Files that stay. Paths with XXXXXX are in a temporary folder, whose name that part makes new each time. */
  readonly files: readonly PlannedFile[];
  /** In the order in which they are started. */
  readonly commands: readonly PlannedCommand[];
  /** What else is to know, a line each. */
  readonly notes: readonly string[];
}
