/**
 * The stages of embed-model as a library. Each is a function from plain data to plain data; pipeline.ts shows how they follow one
 * another. What is exported here is the public interface; a test pins the list.
 */

export type { Result } from '../deploy/result.js';
export { runBundle } from '../deploy/run-bundle.js';
export { findTarget, targets } from '../targets/index.js';
export type { Target } from '../targets/target.js';
export type { BuildOptions, RunOptions } from './build-options.js';
export { type GoldenRun, type Manifest, readManifest, type SamplingSettings } from './bundle/manifest.js';
export { calibrate } from './calibrate/calibrate.js';
export { FloatEvaluator } from './calibrate/float-evaluator.js';
export { checkpointWeights, dequantizedWeights } from './calibrate/float-weights.js';
export { createLinearAlgebra } from './calibrate/linear-algebra.js';
export type { Checkpoint, TensorInfo } from './checkpoint/checkpoint.js';
export { openModelSource } from './checkpoint/model-source.js';
export { openCheckpoint } from './checkpoint/open.js';
export { EmbedError } from './diagnostics/error.js';
export { emitBundle } from './emit/emit-bundle.js';
export { IntegerEvaluator } from './evaluate/integer-evaluator.js';
export { buildGraph } from './graph/build.js';
export type { Graph } from './graph/graph.js';
export { readBlob } from './layout/blob.js';
export { type IntegerModel, lower } from './lower/lower.js';
export { type BuildResult, build } from './pipeline.js';
export { type Progress, type StageContext, silentProgress } from './progress.js';
export { formats } from './quantize/format.js';
export { namedPlans, type Plan, parsePlan } from './quantize/plan.js';
export { quantizeGraph } from './quantize/quantize.js';
export { encodeText } from './tokenizer/encode-text.js';
export { openTokenizer } from './tokenizer/tokenizer.js';
