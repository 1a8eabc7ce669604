/** The folder a benchmark works in: random checkpoints, the bundles built of them, and tools compiled for it. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Manifest, readManifest } from '../../codegen/bundle/manifest.js';
import type { BenchResult } from '../../deploy/bench-bundle.js';
import { planOf } from './formats.js';
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

export class Workspace {
  constructor(readonly folder: string) {
    mkdirSync(folder, { recursive: true });
  }

  /** Builds the bundle of a case, and returns its path and manifest. One that lies there is built again: the code may differ. */
  async build({ shape, format, target }: Case): Promise<{ bundle: string; manifest: Manifest }> {
    const bundle = join(this.folder, `${shape}-${format}-${target}`);
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
    return { bundle, manifest: readManifest(bundle) };
  }

  /** Removes what `build` made. */
  remove(bundle: string): void {
    rmSync(bundle, { recursive: true, force: true });
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
