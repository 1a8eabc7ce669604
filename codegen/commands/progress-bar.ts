/**
 * Progress on a terminal: one line for the running stage, redrawn in place, and a short one for each that is
 * finished.
 */
import { printable } from '../diagnostics/printable.js';
import type { TextSink } from './output.js';
import type { ShownProgress } from './progress.js';
import { formatDuration } from './quantities.js';
import { StageMeter } from './stage-meter.js';

/** A terminal, which unlike a file says when its size changes. */
export interface Terminal extends TextSink {
  on?(event: 'resize', listener: () => void): unknown;
  off?(event: 'resize', listener: () => void): unknown;
}

export interface BarStyle {
  readonly color: boolean;
  /** Whether the terminal shows more than ASCII. */
  readonly unicode: boolean;
}

const hideCursor = '\x1b[?25l';
const showCursor = '\x1b[?25h';
/**
 * The cursor rests at the start of the line, so that a narrowed terminal, which may wrap the line, is still
 * erased in full.
 */
const eraseBelow = '\r\x1b[J';

/**
 * Between these, what is too long for the terminal is cut: it may have become narrower without our knowing
 * yet.
 */
const noWrap = '\x1b[?7l';
const wrap = '\x1b[?7h';

/** Milliseconds between two drawings, and between two while no unit is finished. */
const drawEveryMs = 100;
const refreshEveryMs = 500;

/** Of the usual stages: "fit weights by GPTQ". */
const nameWidth = 19;
const barWidth = { least: 8, most: 32 } as const;
const defaultColumns = 80;

export class ProgressBar implements ShownProgress {
  private stage: StageMeter | null = null;
  private drawnMs = Number.NEGATIVE_INFINITY;
  private timer: NodeJS.Timeout | undefined;
  private readonly onResize = () => this.draw();
  /** If the process ends in the middle of a stage, whatever the reason, the cursor comes back. */
  private readonly onExit = () => this.close();

  constructor(
    private readonly terminal: Terminal,
    private readonly style: BarStyle,
    private readonly now: () => number = () => performance.now(),
  ) {}

  begin(stage: string, total: number, unit: string): void {
    if (this.stage === null) this.open();
    this.stage = new StageMeter(printable(stage), total, unit, this.now());
    this.draw();
  }

  advance(units: number): void {
    this.stage?.advance(units);
    if (this.now() - this.drawnMs >= drawEveryMs) this.draw();
  }

  end(note?: string): void {
    const { stage } = this;
    if (stage === null) return;
    const mark = this.style.unicode ? '✓' : '+';
    const took = formatDuration(stage.seconds(this.now()));
    const text = printable(note ?? stage.amount);
    this.close();
    this.terminal.write(
      `${this.paint(32, mark)} ${stage.name.padEnd(nameWidth)}  ${text}  ${this.paint(2, took)}\n`,
    );
  }

  warn(message: string): void {
    this.say(`${this.paint(33, 'warning:')} ${printable(message)}`);
  }

  say(line: string): void {
    if (this.stage !== null) this.terminal.write(eraseBelow);
    this.terminal.write(`${line}\n`);
    this.draw();
  }

  /** Takes the bar away and gives the cursor back; harmless where there is none. */
  close(): void {
    if (this.stage === null) return;
    this.stage = null;
    clearInterval(this.timer);
    this.terminal.off?.('resize', this.onResize);
    process.off('exit', this.onExit);
    this.terminal.write(eraseBelow + showCursor);
  }

  private open(): void {
    this.terminal.write(hideCursor);
    this.terminal.on?.('resize', this.onResize);
    process.on('exit', this.onExit);
    this.timer = setInterval(() => this.draw(), refreshEveryMs);
    this.timer.unref();
  }

  private draw(): void {
    if (this.stage === null) return;
    this.drawnMs = this.now();
    // The last column stays free: writing to it makes some terminals begin a new line.
    const line = this.line(this.stage, (this.terminal.columns || defaultColumns) - 1);
    this.terminal.write(`${eraseBelow}${noWrap}${line}${wrap}\r`);
  }

  /** Name, bar, share, rate and time left; what does not fit is left out, the least needed first. */
  private line(stage: StageMeter, width: number): string {
    const share = stage.share.padStart(5);
    const rate = stage.rate(this.drawnMs);
    const left = stage.left(this.drawnMs);
    const name = stage.name.padEnd(nameWidth);
    for (const details of [[rate, left], [left], []]) {
      const text = [share, ...details.filter((detail) => detail !== '')].join('  ');
      const room = width - 2 - name.length - 2 - text.length - 2;
      if (room >= barWidth.least) {
        const bar = this.bar(stage.fraction, Math.min(room, barWidth.most));
        return `  ${name}  ${bar}${bar === '' ? '' : '  '}${text}`;
      }
    }
    return `  ${stage.name} ${stage.share}`.slice(0, Math.max(0, width));
  }

  private bar(fraction: number | null, width: number): string {
    if (fraction === null) return '';
    const full = Math.floor(fraction * width);
    const [on, off] = this.style.unicode ? ['█', '░'] : ['#', '.'];
    return this.paint(36, on.repeat(full)) + this.paint(2, off.repeat(width - full));
  }

  private paint(color: number, text: string): string {
    return this.style.color && text !== '' ? `\x1b[${color}m${text}\x1b[0m` : text;
  }
}
