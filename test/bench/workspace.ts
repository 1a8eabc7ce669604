/** The folder a benchmark works in: random checkpoints, the bundles built of them, and tools compiled for it. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Manifest, readManifest } from '../../codegen/bundle/manifest.js';
import type { BenchResult } from '../../deploy/bench-bundle.js';
import { planOf } from './formats.js';
import { programOrigin } from './program-origin.js';
import { writeRandomCheckpoint } from './random-checkpoint.js';
import { runEmbedModel } from './run-embed-model.js';
import { type ShapeName, shapes } from './shapes.js';

/** One bundle to measure. */
export interface Case {
  readonly shape: ShapeName;
  /** As --quantize takes it, or a format. */
  readonly format: string;
  readonly target: string;
}

/** Any number; another gives other weights of the same shapes. */
const seed = 1;

/** Tokens that ranges are calibrated on: with random weights, a few show as much as many. */
const calibrationTokens = 48;

/** A bundle to measure. */
export interface BuiltCase {
  readonly bundle: string;
  readonly manifest: Manifest;
  /** What it was made of and with. */
  readonly origin: string;
}

export class Workspace {
  readonly #programOrigin = programOrigin();

  constructor(readonly folder: string) {
    mkdirSync(folder, { recursive: true });
  }

  /** The bundle of a case; one that lies there is taken if this compiler made it of the same sources. */
  async build(one: Case, compiler: string): Promise<BuiltCase> {
    const bundle = join(this.folder, `${one.shape}-${one.format}-${one.target}`);
    const sources = { program: this.#programOrigin, shape: shapes[one.shape], plan: planOf(one.format) };
    const origin = JSON.stringify({ ...sources, seed, calibrationTokens, target: one.target, compiler });
    await this.remembered(bundle, 'origin', origin, () => this.#build(one, bundle));
    return { bundle, manifest: readManifest(bundle), origin };
  }

  /** What `make` gives, or gave the last time for the same origin: kept beside the bundle as <bundle>.<what>.json. */
  async remembered<T>(bundle: string, what: string, origin: string, make: () => Promise<T>): Promise<T> {
    const path = `${bundle}.${what}.json`;
    const known = existsSync(path)
      ? (JSON.parse(readFileSync(path, 'utf8')) as { readonly origin: string; readonly value: T })
      : null;
    if (known?.origin === origin) return known.value;
    rmSync(path, { force: true });
    const value = await make();
    writeFileSync(path, JSON.stringify({ origin, value }));
    return value;
  }

  async #build({ shape, format, target }: Case, bundle: string): Promise<null> {
    const plan = join(this.folder, `${format}.json`);
    writeFileSync(plan, JSON.stringify(planOf(format)));
    const options = [
      '--target',
      target,
      '--model',
      this.checkpoint(shape),
      '--quantize',
      plan,
      '--out',
      bundle,
    ];
    const small = ['--calibration', this.calibration(), '--no-tokenizer', '--no-run', '--quiet'];
    await runEmbedModel(['build', ...options, ...small]);
    return null;
  }

  /** Removes what `build` made. */
  remove(bundle: string): void {
    rmSync(bundle, { recursive: true, force: true });
    rmSync(`${bundle}.origin.json`, { force: true });
  }

  /** `embed-model bench` of a bundle: one thread, prompt and tokens of 64. `prefix` starts it, such as chrt. */
  async bench(bundle: string, repeat: number, prefix: readonly string[]): Promise<BenchResult> {
    const sizes = ['--prompt-tokens', '64', '--tokens', '64', '--repeat', String(repeat), '--threads', '1'];
    const words = ['bench', bundle, '--host', ...sizes, '--json', '--quiet'];
    // Logits that are not golden, or too much memory, end it with 1: the record says so, and so will the table.
    const { stdout } = await runEmbedModel(words, { prefix, accepted: [0, 1] });
    return JSON.parse(stdout) as BenchResult;
  }

  private checkpoint(shape: ShapeName): string {
    const path = join(this.folder, `${shape}.bin`);
    const done = join(this.folder, `${shape}.bin.json`);
    const made = JSON.stringify({ ...shapes[shape], seed });
    if (!existsSync(done) || readFileSync(done, 'utf8') !== made) {
      writeRandomCheckpoint(path, shapes[shape], seed);
      writeFileSync(done, made);
    }
    return path;
  }

  private calibration(): string {
    const path = join(this.folder, 'calibration.u16');
    writeFileSync(
      path,
      Uint16Array.from({ length: calibrationTokens }, (_, i) => (37 * i) % 500),
    );
    return path;
  }
}
