/** embed-model build: from a checkpoint to a bundle that was proved. */
import { type AcceptanceOptions, type AutoOptions, type BuildOptions, MAX_LOSS } from '../build-options.js';
import type { RangeMethod } from '../calibrate/range-methods.js';
import { EmbedError } from '../diagnostics/error.js';
import { namedPlans } from '../quantize/plan.js';
import { defineCommand } from './command.js';
import { findPlan } from './find-plan.js';
import { byteCount, flag, integer, type OptionValues, oneOf, percentage, prompt, text } from './option.js';
import { buildSummary } from './result-summary.js';
import { contextRange, exclusive, threadsOption, tokensOption } from './run-options.js';

const rangeMethods = [
  'min-max',
  'moving-average',
  'percentile',
  'kl',
  'mse',
] as const satisfies readonly RangeMethod[];
/** Never far from the best of them; docs/arithmetic.md section 9 has the figures. */
const usualRange: RangeMethod = 'mse';
/** Generations where --search evolve says no more. */
const GENERATIONS = 10;
const groupSizes = { '32': 32, '64': 64, '128': 128 } as const;

const options = {
  target: text(
    'NAME',
    'machine to build for: a name that embed-model targets lists, or the path of your own *.target.ts',
  ),
  model: text(
    'PATH',
    'Hugging Face folder (config.json, weights, tokenizer), or a GGUF, PyTorch (.pt), llama2.c (.bin) or .crystal file',
    'the bundled os-nano',
  ),
  out: text('DIR', 'folder of the bundle: new, empty or an earlier bundle', './MODEL-TARGET'),
  quantize: text(
    'NAME|PLAN.json',
    `formats of the weights: auto, ${Object.keys(namedPlans).join(', ')}, or a file`,
    'auto',
  ),
  'group-size': oneOf(
    '32|64|128',
    'columns that share a sub-scale in 4 to 6-bit formats',
    ['32', '64', '128'],
    'what the plan says, 32',
  ),
  'max-loss': percentage(
    'most that perplexity may grow; auto looks for the smallest weights below it',
    MAX_LOSS,
    '2%',
  ),
  'max-bytes': byteCount('most bytes of the blob; auto looks for the least loss within them'),
  search: oneOf(
    'greedy|evolve',
    'how auto allocates bits: as the sensitivities of the matrices add up, or then also by trying what changes of that allocation do',
    ['greedy', 'evolve'],
    'greedy',
  ),
  generations: integer(
    'generations of 8 changed plans that each allocation evolves in',
    { min: 1, max: 1000 },
    null,
    String(GENERATIONS),
  ),
  validation: text(
    'FILE',
    'text file, or .u16 file of token ids: auto chooses by its first half; its second half certifies what was built',
    "the bundled model's own, or nothing is certified",
  ),
  method: oneOf(
    'gptq|awq+gptq|awq|nearest|auto',
    'how weights of 4 to 6 bits become integers: GPTQ fits them to the calibration text, AWQ scales its channels before, auto ' +
      'takes what diverges least of all; rounding to nearest is used where it does better',
    ['gptq', 'awq+gptq', 'awq', 'nearest', 'auto'],
    'gptq',
  ),
  acceptance: flag(
    'judge more than the loss: speed and size against 16-bit weights, repetition, and the task if there is one',
  ),
  prompts: text(
    'FILE',
    'prompts of the acceptance, one a line; --acceptance goes without saying',
    'beginnings of 32 windows of the validation text, else of the calibration text',
  ),
  task: text(
    'FILE.jsonl',
    'task benchmark, a line {"prompt": "...", "completion": "..."} an item; --acceptance goes without saying',
  ),
  calibration: text(
    'FILE',
    'text file, or .u16 file of token ids: shows how large activations get, and what GPTQ fits weights to',
    "the model's own, or text sampled from it",
  ),
  activations: oneOf(
    'dynamic|static',
    'scales of int8 activations: found for every token at run time, or fixed by calibration',
    ['dynamic', 'static'],
    'dynamic',
  ),
  'static-range': oneOf(
    'min-max|moving-average|percentile|kl|mse',
    'how calibration fixes the scales of static activations',
    rangeMethods,
    usualRange,
  ),
  'prune-vocab': text(
    'FILE',
    'text file; only the tokens it needs stay, with all bytes, specials and what they are merged from',
    'the whole vocabulary',
  ),
  scales: text(
    'FILE.json',
    'scales and order of neurons that a .crystal file of version 1 lacks',
    'fitted to the calibration text',
  ),
  context: integer('positions of the KV cache', contextRange, null, "the model's, at most 2048"),
  toolchain: text('gcc|clang|zig|PATH', 'C compiler', 'the first of the target that can be used'),
  'no-fetch': flag('where there is no C compiler, do not have npm fetch zig (86 MB), but fail'),
  'single-file': flag(
    'put the weights into bin/em-run, and into the kernel module: one file for the board instead of two',
  ),
  'kernel-module': flag('add a Linux module that answers through /dev/embed_model: module/'),
  'kernel-headers': text(
    'DIR',
    'headers of the kernel that the module is for',
    'those of the running kernel; without any, only sources',
  ),
  'bare-metal': text(
    'BOARD',
    'add an image that runs without an operating system: virt-aarch64, raspi3b, virt-riscv64, sifive_u, ' +
      'virt-aarch64-uboot or virt-riscv64-uboot',
  ),
  prompt: prompt(
    'what the model goes on from, in the golden runs and in the run after the build',
    'a few words',
  ),
  tokens: tokensOption,
  threads: threadsOption,
  'no-tokenizer': flag('leave the tokenizer out: the bundle takes token ids only'),
  'no-run': flag('do not run what was built'),
} as const;

export const build = defineCommand({
  name: 'build',
  summary: 'quantize, emit, compile, then run where it can',
  description: [
    'Reads a checkpoint, finds the ranges of its activations on a calibration text, quantizes its ' +
      'weights, and writes a bundle: manifest.json, model.blob (the weights), src/ (freestanding C for ' +
      'exactly this model), runner/ and bin/em-run (a program that prints text). The C is compiled and ' +
      'audited: no libc, no floating point, no writable data, a bounded stack.',
    'Then bin/em-run is run, by itself if this machine can, else under the emulator of the target. Its ' +
      'logits must have the digest that the integer reference computed: equal digests mean that every ' +
      'logit of every position is equal. If they are not, the bundle stays, and the exit code is 1.',
    'A bundle for which a validation text was given is accepted if its loss stays below --max-loss. With --acceptance it ' +
      'must also pass the other gates of embed-model eval --acceptance: 1.5 times as fast as with 16-bit weights, smaller ' +
      'by what its bits promise less a tenth, no more repetition than the checkpoint in float, and less than 2 points ' +
      'fewer items solved of the task; --quantize auto gives a plan that repeats itself or fails the task more bits. ' +
      'What this machine cannot judge says why, and does not fail. Verdicts go to ' +
      'report/acceptance.json, both texts of every prompt to report/compare_outputs.txt.',
    'Nothing is left behind by a build that fails. With --json, the document is the result record that ' +
      'also lies in report/result.json.',
  ],
  argument: null,
  options,
  examples: [
    {
      command: 'embed-model --target x86_64-avx2',
      note: 'the bundled model for this PC, into ./os-nano-x86_64-avx2',
    },
    {
      command: 'embed-model --target cortex-a72 --model ./SmolLM2-135M --quantize int4-head8 --context 1024',
      note: 'a Hugging Face checkpoint for a Raspberry Pi 4, most weights in 4 bits',
    },
    {
      command:
        'embed-model build --target riscv-u74 --model stories260K.bin --toolchain clang --no-run --json',
      note: 'a llama2.c checkpoint for a VisionFive 2; the record goes to stdout',
    },
    {
      command:
        'embed-model --target x86_64-avx2 --model ./my-model --calibration train.txt --validation held-out.txt --task facts.jsonl',
      note: 'the smallest weights that lose less than 2 %, with all gates judged and a benchmark of facts that it must still know',
    },
    {
      command: 'embed-model --target cortex-a72 --dry-run',
      note: 'every file with its size and every command; takes as long as quantizing does',
    },
  ],
  cleansUp: true,
  exitCodes: {
    1: 'the logits differ from the golden ones, the compiled code did not pass its audit, or the bundle is not accepted',
  },
  async dryRun({ values, context }) {
    const { planBuild } = await import('../plan-build.js');
    return planBuild(await buildOptions(values), context);
  },
  async run({ values, output, context }) {
    const pipeline = await import('../pipeline.js');
    const built = await pipeline.build(await buildOptions(values), context);
    const { output: found, quantization } = built.result;
    output.result(built.result, () => buildSummary(built));
    return found.matchesGolden === false || quantization.accepted === false ? 1 : 0;
  },
});

async function buildOptions(values: OptionValues<typeof options>): Promise<BuildOptions> {
  const { findTarget, targets } = await import('../../targets/index.js');
  if (values.target === null) {
    throw new EmbedError('EM1210', {
      where: '--target',
      why: `which machine to build for? there are ${targets.map(({ name }) => name).join(', ')}`,
      fix: 'embed-model --target NAME; embed-model targets describes them',
    });
  }
  const size = values['group-size'];
  return {
    target: await findTarget(values.target),
    model: values.model,
    out: values.out,
    plan: findPlan(values.quantize ?? 'auto', size === null ? null : groupSizes[size]),
    auto: autoOptions(values),
    maxLoss: values['max-loss'],
    acceptance: acceptanceOptions(values),
    validation: values.validation,
    method: values.method ?? 'gptq',
    calibration: values.calibration,
    staticActivations: staticActivations(values.activations, values['static-range']),
    pruneVocab: values['prune-vocab'],
    scales: values.scales,
    context: values.context,
    toolchain: values.toolchain,
    fetch: !values['no-fetch'],
    singleFile: values['single-file'],
    kernelModule: values['kernel-module'],
    bareMetal: values['bare-metal'],
    kernelHeaders: values['kernel-headers'],
    tokenizer: !values['no-tokenizer'],
    prompt: values.prompt,
    tokens: values.tokens,
    threads: values.threads,
    run: !values['no-run'],
  };
}

/** Null where a plan was asked for. Throws EM1208 for options that only a search can use, or cannot use. */
function autoOptions(values: OptionValues<typeof options>): AutoOptions | null {
  const { quantize, method, search, 'max-bytes': maxBytes } = values;
  const generations = generationsOf(search, values.generations);
  const wantsAwq = method !== null && method !== 'gptq'; // the plan that comes with the model was not solved for it
  if (quantize === null || quantize === 'auto') {
    const rounds = method === 'nearest' || method === 'awq'; // a search fits weights by GPTQ
    if (rounds && search !== null) throw exclusive(`--search ${search}`, `--method ${method}`);
    if (rounds) return quantize === null ? null : refuse(`--method ${method}`);
    return { maxBytes, generations, asked: quantize === 'auto' || search !== null || wantsAwq };
  }
  if (search !== null) return refuse('--search');
  return maxBytes === null ? null : refuse('--max-bytes');

  function refuse(option: string): never {
    throw exclusive(`--quantize ${quantize}`, option);
  }
}

/** 0 where nothing evolves. */
function generationsOf(search: string | null, generations: number | null): number {
  if (search === 'evolve') return generations ?? GENERATIONS;
  if (generations === null) return 0;
  const why = 'it says for how long plans evolve, and none does';
  throw new EmbedError('EM1202', { where: '--generations', why, fix: 'add --search evolve' });
}

/** Null where the loss alone is judged. Throws EM1208 for options that leave nothing to judge by. */
function acceptanceOptions(values: OptionValues<typeof options>): AcceptanceOptions | null {
  const { acceptance, prompts, task } = values;
  const asked =
    task !== null ? '--task' : prompts !== null ? '--prompts' : acceptance ? '--acceptance' : null;
  if (asked === null) return null;
  if (values['no-run']) throw exclusive(asked, '--no-run');
  if (values['no-tokenizer'] && asked !== '--acceptance') throw exclusive(asked, '--no-tokenizer');
  return { prompts, task };
}

/** How static scales are fixed; null where they are not static. */
function staticActivations(activations: string | null, range: RangeMethod | null): RangeMethod | null {
  if (activations === 'static') return range ?? usualRange;
  if (range === null) return null;
  const why = 'it fixes the scales of static activations, and these are dynamic';
  throw new EmbedError('EM1202', { where: '--static-range', why, fix: 'add --activations static' });
}
