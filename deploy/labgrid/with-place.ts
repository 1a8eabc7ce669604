/** A place of a labgrid farm that is ours for a while: reserved, acquired, and given back whatever happens. */
import { EmbedError } from '../../codegen/diagnostics/error.js';
import type { Progress } from '../../codegen/progress.js';
import type { LabgridSettings } from '../boards/board.js';
import { type ClientEnd, runLabgridClient } from './labgrid-client.js';
import { type PlaceTransport, parseResources, transportOf } from './place-resources.js';

export interface PlaceOptions {
  /** Milliseconds to wait for a place that somebody else has. */
  readonly waitMs: number;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** One call of labgrid-client: it starts Python and asks the coordinator. */
const callMs = 60_000;
/** A free place is given at once; hearing of it takes as long as starting labgrid-client does. */
const leastWaitMs = 15_000;

/** Throws EM4005 where the place cannot be had, EM4030 where somebody else has it, and what the work throws. */
export async function withPlace<T>(
  settings: LabgridSettings,
  options: PlaceOptions,
  work: (transport: PlaceTransport) => Promise<T>,
): Promise<T> {
  const place = new Place(settings, options);
  try {
    await place.acquire();
    return await work(transportOf(parseResources(await place.show()), settings));
  } finally {
    await place.giveBack();
  }
}

class Place {
  private token: string | null = null;
  private isAcquired = false;

  constructor(
    private readonly settings: LabgridSettings,
    private readonly options: PlaceOptions,
  ) {}

  async acquire(): Promise<void> {
    const { place } = this.settings;
    const { waitMs, signal } = this.options;
    // Not to be interrupted: whoever does not hear the token does not know what to give back.
    const reserved = await this.call(['reserve', '--shell', `name=${place}`]);
    this.token = /LG_TOKEN=(\S+)/.exec(reserved.stdout)?.[1] ?? null;
    if (this.token === null) throw this.failed(reserved);
    signal?.throwIfAborted();
    const waited = await this.call(['wait', this.token], Math.max(waitMs, leastWaitMs), signal);
    if (waited.late) throw await this.busy();
    if (waited.code !== 0) throw this.failed(waited);
    const acquired = await this.call(['-p', place, 'acquire']);
    this.isAcquired = acquired.code === 0;
    if (!this.isAcquired)
      throw /already acquired/.test(said(acquired)) ? await this.busy() : this.failed(acquired);
    signal?.throwIfAborted();
  }

  async show(): Promise<string> {
    const shown = await this.call(['-p', this.settings.place, 'show'], callMs, this.options.signal);
    if (shown.code !== 0) throw this.failed(shown);
    return shown.stdout;
  }

  /** Never throws: what could not be done is told as a warning. */
  async giveBack(): Promise<void> {
    const { place } = this.settings;
    try {
      const released = this.isAcquired ? await this.call(['-p', place, 'release']) : null;
      if (this.token !== null) await this.call(['cancel-reservation', this.token]);
      if (released !== null && released.code !== 0) throw this.failed(released);
    } catch (error) {
      const why = error instanceof EmbedError ? error.why : String(error);
      this.options.progress.warn(`the place ${place} was not released: ${why}`);
    }
  }

  private async busy(): Promise<EmbedError> {
    const { stdout } = await this.call(['-p', this.settings.place, 'show']);
    const owner = /^\s*acquired: (?!None)(\S+)/m.exec(stdout)?.[1];
    const why = owner === undefined ? 'somebody else has reserved it' : `acquired by ${owner}`;
    const fix = 'wait with --wait 10m; labgrid-client who and reservations tell who has it';
    return new EmbedError('EM4030', { where: `labgrid:${this.settings.place}`, why, fix });
  }

  private failed(end: ClientEnd): EmbedError {
    const why = end.late
      ? 'labgrid-client does not answer'
      : (said(end).split('\n').at(-1) ?? `exit code ${end.code}`);
    return new EmbedError('EM4005', { where: `labgrid:${this.settings.place}`, why });
  }

  private call(args: readonly string[], timeoutMs = callMs, signal?: AbortSignal): Promise<ClientEnd> {
    return runLabgridClient(args, this.settings.coordinator ?? null, timeoutMs, signal);
  }
}

const said = ({ stdout, stderr }: ClientEnd): string => (stderr.trim() === '' ? stdout : stderr).trim();
