/** `build --dry-run`: all of a build that neither writes nor starts anything, so that sizes and commands are those of the build. */
import { join } from 'node:path';
import { plannedRuns } from '../deploy/planned-runs.js';
import { proofRequests } from '../deploy/prove-bundle.js';
import type { Target } from '../targets/target.js';
import { acceptanceFiles } from './accept/acceptance-files.js';
import { readAcceptanceRequest } from './accept/acceptance-request.js';
import { planBuildAcceptance } from './accept/plan-build-acceptance.js';
import { checkBareMetalRequest, requireBareMetalMemory } from './bare-metal/bare-metal-request.js';
import { plannedImage } from './bare-metal/build-bare-metal.js';
import { emitBareMetal } from './bare-metal/emit-bare-metal.js';
import type { BuildOptions } from './build-options.js';
import type { GoldenRun } from './bundle/manifest.js';
import { OutputFolder } from './bundle/output-folder.js';
import { completeCrystal } from './calibrate/complete-crystal.js';
import { openModelSource } from './checkpoint/model-source.js';
import { expectedToolchain } from './compile/expected-toolchain.js';
import { plannedModelCompilation } from './compile/planned-compilation.js';
import type { DryRun } from './dry-run.js';
import { plannedArenaBytes, plannedEmission } from './emit/emit-bundle.js';
import { goldenPrompt } from './evaluate/golden-prompt.js';
import { defaultGoldenRuns } from './evaluate/golden-run.js';
import { checkModuleRequest, linkedBlob, type ModuleRequest } from './module/build-module.js';
import { emitModule } from './module/emit-module.js';
import { requireModuleSize } from './module/module-limits.js';
import { defaultOut, pruned, toIntegers } from './pipeline.js';
import type { StageContext } from './progress.js';

/** Files of a bundle whose sizes depend on the compiler and on what is measured. */
function madeLater({ auto = null, validation = null, acceptance = null }: BuildOptions): string[] {
  const reports = [
    'quantization_summary.json',
    'result.json',
    ...(auto?.asked === true ? ['auto.json'] : []),
    ...(acceptance !== null ? acceptanceFiles : validation !== null ? ['validation_report.json'] : []),
  ];
  return ['bin/em-run', 'manifest.json', ...reports.map((name) => `report/${name}`)];
}

const AUTO_NOTE =
  'A plan that is searched is judged in float here; the build also compiles and runs what it tries, and may choose another.';

/** What pipeline.build would do with the same options. Takes as long as its quantization, and throws what that throws. */
export async function planBuild(options: BuildOptions, context: StageContext): Promise<DryRun> {
  const { target, singleFile } = options;
  const module = checkModuleRequest(options);
  const board = checkBareMetalRequest(options);
  const completion = await completeCrystal(options, context);
  const opened = openModelSource(options.model, options.tokenizer, completion);
  try {
    const source = pruned(opened, options, context);
    const request = readAcceptanceRequest(options, source);
    const { path, staging } = OutputFolder.planned(options.out ?? defaultOut(source, target));
    const { toolchain, commands } = await expectedToolchain(target, {
      prefer: options.toolchain,
      fetch: options.fetch,
    });
    const { checkpoint, tokenizer, bosId } = source;
    const { eosIds } = checkpoint.config;
    const { model, parameters, plan } = await toIntegers(source, options, false, context);
    const prompt = goldenPrompt(options.prompt, source, model.graph);
    const golden = await defaultGoldenRuns(model, prompt, eosIds, parameters, context);
    const names = { modelName: source.name, modelSha256: checkpoint.sha256(), target, plan };
    const emitted = plannedEmission({ ...names, model, tokenizer, bosId, eosIds, singleFile });
    const { goldenRuns, last } = proofRequests(golden, model.graph.context, options);
    const requests = options.run ? [...goldenRuns.map(({ request }) => request), last] : [];
    const runs = await plannedRuns(staging, { targetSpec: target, singleFile }, requests, 'auto');
    const moduleFiles = module === null ? [] : plannedModule(module, golden, target, emitted);
    const bareFiles = board === null ? [] : sizesOf(emitBareMetal(board, golden));
    if (board !== null) {
      requireBareMetalMemory(board, emitted.get('model.blob')!, plannedArenaBytes({ model, target }));
    }
    const acceptance =
      request === null
        ? { commands: [], notes: [] }
        : await planBuildAcceptance({ target, toolchain, singleFile, source, plan, model });
    const kept = [...emitted, ...moduleFiles, ...bareFiles].filter(
      ([name]) => !(singleFile && name === 'model.blob'),
    );
    const sizes: [string, number | null][] = [
      ...kept,
      ...madeLater(options).map((name): [string, null] => [name, null]),
      ...(module?.headers ? [['module/embed_model.ko', null] as [string, null]] : []),
      ...(board === null ? [] : [[`bare-metal/${board.image.name}`, null] as [string, null]]),
    ];
    return {
      files: sizes
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, bytes]) => ({ path: join(path, name), bytes })),
      commands: [
        ...commands,
        ...plannedModelCompilation(staging, [...emitted.keys()], target, toolchain),
        ...(board === null
          ? []
          : await plannedImage(
              staging,
              [...emitted.keys(), ...bareFiles.map(([name]) => name)],
              board,
              target,
              toolchain,
            )),
        ...acceptance.commands,
        ...runs.commands,
      ],
      notes: [
        `The files are made in ${staging}, which is renamed when all of them are there.`,
        ...acceptance.notes,
        ...runs.notes,
        ...(options.auto == null ? [] : [AUTO_NOTE]),
      ],
    };
  } finally {
    opened.checkpoint.close();
  }
}

/** Files of module/ with their sizes in bytes. Throws EM5001. */
function plannedModule(
  { linked }: ModuleRequest,
  golden: readonly GoldenRun[],
  target: Target,
  emitted: ReadonlyMap<string, number>,
): [string, number][] {
  const blobBytes = emitted.get('model.blob')!;
  requireModuleSize(blobBytes, linked);
  const sizes = sizesOf(emitModule({ buildId: '0'.repeat(64), golden, target, linked })); // ids have one length
  return linked ? [...sizes, [linkedBlob, blobBytes]] : sizes;
}

const sizesOf = (texts: ReadonlyMap<string, string>): [string, number][] =>
  [...texts].map(([path, text]) => [path, Buffer.byteLength(text)]);
