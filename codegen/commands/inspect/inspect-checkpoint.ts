import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { kernelSets } from '../../../targets/target.js';
import { parameterCount } from '../../bundle/compose-manifest.js';
import type { Checkpoint } from '../../checkpoint/checkpoint.js';
import type { CrystalConfig, DecoderConfig } from '../../checkpoint/config.js';
import { isCrystalFile, openCheckpoint } from '../../checkpoint/open.js';
import { storedBytesOf } from '../../checkpoint/tensor-types.js';
import { EmbedError } from '../../diagnostics/error.js';
import { printable } from '../../diagnostics/printable.js';
import { buildGraph } from '../../graph/build.js';
import { contextLength } from '../../graph/context-length.js';
import { kernelSetOf } from '../../layout/kernel-set.js';
import { silentProgress } from '../../progress.js';
import { namedPlans } from '../../quantize/plan.js';
import { compileTokenizer } from '../../tokenizer/compile-tokenizer.js';
import { openTokenizer, type TokenizerModel } from '../../tokenizer/tokenizer.js';
import { formatAmount, formatBytes, formatCount } from '../quantities.js';
import { fieldList, textTable } from '../text-table.js';
import { crystalFacts } from './crystal-facts.js';
import type { Inspection } from './inspection.js';
import { type PlannedBlob, plannedBlob } from './planned-blob.js';

/**
 * Describes a checkpoint without reading its weights but for their hash. Throws what openCheckpoint throws.
 */
export function inspectCheckpoint(path: string): Inspection {
  // A .crystal file that lacks scales cannot be built as it is, but it can be looked at.
  const checkpoint = openCheckpoint(path, isCrystalFile(path) ? 'as-runtime' : null);
  try {
    return describeCheckpoint(path, checkpoint);
  } finally {
    checkpoint.close();
  }
}

function describeCheckpoint(path: string, checkpoint: Checkpoint): Inspection {
  const { config } = checkpoint;
  const graph = buildGraph(checkpoint, contextLength(config, null, silentProgress));
  const tokenizer = describeTokenizer(path, config.vocabSize);
  const sizes = kernelSets.flatMap((kernels) =>
    Object.values(namedPlans).map((plan) => plannedBlob(graph, plan, kernelSetOf(kernels), tokenizer.bytes)),
  );
  const stored = storedTensors(checkpoint);
  const parameters = parameterCount(graph);
  const sha256 = checkpoint.sha256();
  const { bytes: tokenizerBytes, ...tokenizerFacts } = tokenizer;
  const facts = fieldList([
    ['name', printable(checkpoint.name)],
    ['format', printable(checkpoint.formatText)],
    ...(checkpoint.format === 'crystal' ? crystalFacts(path) : []),
    ...(checkpoint.warnings ?? []).map((warning): [string, string] => ['in doubt', warning]),
    ['architecture', printable(`${config.architecture} (${config.family} family)`)],
    ['parameters', formatCount(parameters)],
    ['shape', shapeText(config)],
    ['attention', attentionText(config, checkpoint)],
    ...(config.family === 'crystal' ? [neuronsLine(config)] : []),
    ['context', formatAmount(config.contextLength, 'position')],
    [config.family === 'llama' ? 'rope' : 'positions', positionsText(config)],
    [
      'tensors',
      stored.map(({ dtype, tensors, bytes }) => `${tensors} ${dtype}, ${formatBytes(bytes)}`).join('; '),
    ],
    ['tokenizer', printable(tokenizer.text)],
    ['end of text', config.eosIds.length === 0 ? 'no token' : `token ${config.eosIds.join(', ')}`],
    ['sha256', sha256],
  ]);
  return {
    kind: 'checkpoint',
    document: {
      name: checkpoint.name,
      format: checkpoint.format,
      sha256,
      parameters,
      config,
      tensors: stored,
      tokenizer: { ...tokenizerFacts, tableBytes: tokenizerBytes === 0 ? null : tokenizerBytes },
      context: graph.context,
      quantizations: sizes,
    },
    text: `checkpoint\n\n${facts}\n\nwith --context ${graph.context} and --quantize\n\n${sizesTable(sizes)}`,
    faults: [],
  };
}

function sizesTable(sizes: readonly PlannedBlob[]): string {
  const severalSets = new Set(sizes.map(({ kernelSet }) => kernelSet)).size > 1;
  return textTable(
    [
      { title: '  name' },
      { title: 'weights', align: 'right' },
      { title: 'bits per weight', align: 'right' },
      { title: 'blob', align: 'right' },
      { title: severalSets ? 'kernels' : '' },
    ],
    sizes.map(({ plan, kernelSet, weightsBytes, bitsPerWeight, blobBytes }) => [
      `  ${plan}`,
      formatBytes(weightsBytes),
      bitsPerWeight.toFixed(2),
      formatBytes(blobBytes),
      severalSets ? kernelSet : '',
    ]),
  );
}

interface StoredTensors {
  readonly dtype: string;
  readonly tensors: number;
  readonly bytes: number;
}

/** The tensors that the model uses, by type. */
function storedTensors(checkpoint: Checkpoint): StoredTensors[] {
  const byType = new Map<string, { tensors: number; bytes: number }>();
  for (const info of checkpoint.tensors.values()) {
    const { dtype } = info;
    const sum = byType.get(dtype) ?? { tensors: 0, bytes: 0 };
    sum.tensors += 1;
    sum.bytes += storedBytesOf(info);
    byType.set(dtype, sum);
  }
  return [...byType].map(([dtype, sum]) => ({ dtype, ...sum }));
}

function shapeText(config: DecoderConfig): string {
  const { layers, hiddenSize, intermediateSize, vocabSize, tiedEmbedding } = config;
  const head = tiedEmbedding ? 'head shares the embedding' : 'head of its own';
  const widths = `hidden ${hiddenSize}, MLP ${intermediateSize}, vocabulary ${vocabSize}`;
  return `${formatAmount(layers, 'layer')}, ${widths}, ${head}`;
}

function attentionText(config: DecoderConfig, checkpoint: Checkpoint): string {
  if (config.heads === 0) return 'none: a token sees itself and its position';
  const { heads, kvHeads, headDim } = config;
  const { qkNorm, slidingWindow } =
    config.family === 'llama' ? config : { qkNorm: false, slidingWindow: null };
  const biased = [...checkpoint.tensors.keys()].some((name) => name.endsWith('.bias'));
  return [
    `${formatAmount(heads, 'head')} of ${headDim} elements, ${kvHeads} of keys and values`,
    ...(biased ? ['biases'] : []),
    ...(qkNorm ? ['norms of q and k'] : []),
    ...(slidingWindow === null ? [] : [`window of ${formatAmount(slidingWindow, 'position')}`]),
  ].join(', ');
}

function neuronsLine({ neurons, temperatureFloor, weightSumEpsilon }: CrystalConfig): [string, string] {
  const constants = `temperatures from ${temperatureFloor}, weights over their sum and ${weightSumEpsilon}`;
  return ['field', `${formatAmount(neurons, 'neuron')}, ${constants}`];
}

function positionsText(config: DecoderConfig): string {
  if (config.family !== 'llama') return 'learned, added to the embedding';
  const { ropeTheta, ropeScaling } = config;
  const theta = `theta ${ropeTheta}`;
  if (ropeScaling.kind === 'default') return theta;
  if (ropeScaling.kind === 'linear') return `${theta}, linear scaling by ${ropeScaling.factor}`;
  if (ropeScaling.kind === 'factors') return `${theta}, each frequency divided by a factor of its own`;
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalContext } = ropeScaling;
  const band = `low ${lowFrequencyFactor}, high ${highFrequencyFactor}, from ${originalContext} positions`;
  return `${theta}, llama3 scaling by ${factor} (${band})`;
}

interface TokenizerFacts {
  readonly text: string;
  readonly source: string | null;
  readonly bosId: number | null;
  /** Why there is none, or why it cannot be used. */
  readonly missing: string | null;
  /** Of its table in the blob, 0 for none. */
  readonly bytes: number;
}

/** A tokenizer that cannot be used is told as such: it would stop a build, but not a look at the rest. */
function describeTokenizer(path: string, vocabSize: number): TokenizerFacts {
  const absent = (missing: string): TokenizerFacts => ({
    text: `none that can be used: ${missing}`,
    source: null,
    bosId: null,
    missing,
    bytes: 0,
  });
  try {
    const lookup = openTokenizer(path, vocabSize);
    if (lookup.tokenizer === null) return absent(lookup.reason);
    const { tokenizer } = lookup;
    const { source, bosId } = tokenizer;
    return {
      text: tokenizerText(tokenizer),
      source,
      bosId,
      missing: null,
      bytes: compileTokenizer(tokenizer).length,
    };
  } catch (error) {
    if (error instanceof EmbedError && existsSync(path))
      return absent(`${error.code}: ${error.what}: ${error.why}`);
    throw error;
  }
}

function tokenizerText(tokenizer: TokenizerModel): string {
  const { source, symbols, added, bosId, normalizeNfc, characterMap, unigram } = tokenizer;
  const kind = unigram === null ? `BPE over ${symbols === 'bytes' ? 'bytes' : 'characters'}` : 'Unigram';
  return [
    `${basename(source)}: ${kind}${symbols === 'bytes' ? '' : ', bytes for others'}`,
    ...(normalizeNfc ? ['NFC'] : []),
    ...(characterMap === null ? [] : ['character map']),
    formatAmount(added.length, 'added token'),
    bosId === null ? 'nothing put before a text' : `token ${bosId} put before a text`,
  ].join(', ');
}
