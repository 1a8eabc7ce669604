/** A bundle of the tiny model, built by the real pipeline, for tests of what works on bundles. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from '../../../codegen/bundle/manifest.js';
import { build } from '../../../codegen/pipeline.js';
import { type StageContext, silentProgress } from '../../../codegen/progress.js';
import { namedPlans } from '../../../codegen/quantize/plan.js';
import type { Target } from '../../../targets/target.js';
import { writeTinyModel } from '../checkpoint/tiny-model.js';

/** A context that is never aborted and collects the warnings. */
export function quietContext(): StageContext & { readonly warnings: string[] } {
  const warnings: string[] = [];
  const progress = { ...silentProgress, warn: (message: string) => warnings.push(message) };
  return { progress, signal: new AbortController().signal, warnings };
}

export interface TinyBundle {
  readonly model: string;
  readonly bundle: string;
  readonly manifest: Manifest;
}

/** Writes the tiny checkpoint to folder/model and builds it for a target into folder/bundle. */
export async function buildTinyBundle(folder: string, target: Target, plan = 'int8'): Promise<TinyBundle> {
  const model = writeTinyModel(join(folder, 'model'));
  const { bundle, manifest } = await build(
    {
      ...{ target, model, out: join(folder, 'bundle'), plan: namedPlans[plan]!, calibration: null },
      ...{ context: null, toolchain: null, fetch: false, singleFile: false, tokenizer: false },
      ...{ prompt: null, tokens: 4, threads: 1, run: false },
    },
    quietContext(),
  );
  return { model, bundle, manifest };
}

/** Replaces fields of a bundle's manifest. */
export function editManifest(bundle: string, edit: (manifest: Manifest) => Partial<Manifest>): void {
  const path = join(bundle, 'manifest.json');
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as Manifest;
  writeFileSync(path, JSON.stringify({ ...manifest, ...edit(manifest) }));
}
