/** A board as a place to run a bundle: what is not there yet is brought there before the first run. */
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import type { Manifest } from '../../codegen/bundle/manifest.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { Machine, MachineDescription, ProgramEnd, ProgramOptions } from '../machine.js';
import { type ConditionReading, conditionsScript, parseConditions } from './board-conditions.js';
import { shellWord } from './board-link.js';
import type { BoardSession } from './board-session.js';
import { type BoardBundle, boardBundle } from './bundle-files.js';
import { uploadBundle } from './upload.js';

/** Longer uploads are refused unless they are allowed: whoever waits should know. */
export const slowUploadMs = 5 * 60_000;

export class BoardMachine implements Machine {
  private readonly folders = new Map<string, string>();
  /** Bytes that went over the line for bundles. */
  sentBytes = 0;

  constructor(readonly session: BoardSession) {}

  /** Brings program and weights to the board, unless they are there. Returns their folder. Throws as uploadBundle and boardBundle. */
  async provide(bundle: string, manifest: Manifest): Promise<string> {
    const known = this.folders.get(bundle);
    if (known !== undefined) return known;
    const folder = await this.bring(boardBundle(bundle, manifest));
    this.folders.set(bundle, folder);
    return folder;
  }

  /** Brings files to the board, unless they are there. Returns their folder. Throws as uploadBundle. */
  async bring(files: BoardBundle): Promise<string> {
    const { session } = this;
    const { board, options } = session;
    let begun = false;
    let reached = 0;
    const begin = () => {
      if (!begun) options.progress.begin('upload', files.bytes, 'byte');
      begun = true;
    };
    const send = () => {
      let at = 0;
      return uploadBundle(session.link, session.root, files, {
        commandMs: board.limits.command * 1000,
        uploadMs: board.limits.upload * 1000,
        keepBytes: board.keepBytes,
        signal: options.signal,
        beforeSending: (bytes) => {
          this.refuseSlow(files, bytes);
          begin();
        },
        // After a cut the bytes that are there already are counted again: only what is beyond them is progress.
        onBytes: (count) => {
          begin();
          at += count;
          if (at > reached) options.progress.advance(at - reached);
          reached = Math.max(reached, at);
        },
      });
    };
    const upload = await session.throughCuts(send, () => reached);
    this.sentBytes += upload.sentBytes;
    if (begun) options.progress.end(`to ${session.link.address}`);
    return upload.folder;
  }

  async run(
    bundle: string,
    manifest: Manifest,
    args: readonly string[],
    options: ProgramOptions,
  ): Promise<ProgramEnd> {
    const folder = await this.provide(bundle, manifest);
    const { session } = this;
    const trace = `${session.root}/trace`;
    const words = [
      './em-run',
      ...(manifest.singleFile ? [] : ['model.blob']),
      ...args,
      ...(options.trace === null ? [] : [`--trace=${trace}`]),
    ];
    const pidFile = shellWord(session.runnerPidFile);
    // The shell becomes the program, so that the number of its process is known and it ends with the connection.
    const script = `cd ${shellWord(folder)} && echo $$ > ${pidFile} && exec ${words.map(shellWord).join(' ')} < /dev/null`;
    const timeoutMs = Math.min(options.timeoutMs, session.board.limits.run * 1000);
    const { signal, onStdout } = options;
    try {
      const end = await session.link.run(script, { timeoutMs, signal, onStdout });
      if (end.code === 126 || end.code === 127) throw this.notStarted(end.code, end.stderr);
      if (options.trace !== null) await this.fetch(trace, options.trace, timeoutMs);
      return { exitCode: end.code ?? undefined, endedBySignal: end.signal ?? undefined, stderr: end.stderr };
    } catch (error) {
      throw error instanceof EmbedError && error.code === 'EM4014' ? await session.explainCut(error) : error;
    }
  }

  async describe(): Promise<MachineDescription> {
    const { board, facts, link } = this.session;
    return {
      name: board.name,
      transport: link.kind,
      emulated: board.emulated,
      cpu: facts.cpu,
      kernel: facts.kernel,
    };
  }

  /** Reads clock, heat and power; once before and once after what is measured. */
  async readConditions(): Promise<ConditionReading> {
    return parseConditions((await this.session.command(conditionsScript)).stdout);
  }

  private refuseSlow(files: BoardBundle, bytes: number): void {
    const ms = this.session.link.estimateMs(bytes);
    if (ms === null) return;
    const minutes = (ms / 60_000).toFixed(ms < 600_000 ? 1 : 0);
    const estimate = `${bytes} of ${files.bytes} bytes have to go there: about ${minutes} minutes`;
    if (ms <= slowUploadMs) return;
    if (this.session.options.allowSlow) this.session.options.progress.warn(estimate);
    else throw new EmbedError('EM4023', { where: this.session.link.address, why: estimate });
  }

  private notStarted(code: number, stderr: string): EmbedError {
    const said = stderr.trim().split('\n').at(-1) || `exit code ${code}`;
    return new EmbedError('EM4038', {
      where: `${this.session.link.address}: em-run`,
      why: said,
      fix: 'check that the folder on the board is not mounted noexec (folder in boards.json chooses another)',
    });
  }

  /** Copies a file of the board to this machine and removes it there. */
  private async fetch(path: string, local: string, timeoutMs: number): Promise<void> {
    const { link, options } = this.session;
    const file = createWriteStream(local);
    const word = shellWord(path);
    const end = await link.run(`cat ${word} && rm -f ${word}`, {
      timeoutMs,
      signal: options.signal,
      onStdout: (chunk) => file.write(chunk),
    });
    file.end();
    await finished(file);
    if (end.code !== 0) throw new EmbedError('EM4038', { where: `cat ${path}`, why: end.stderr.trim() });
  }
}
