import type { Diagnostic } from './catalog.js';

/** EM10xx: checkpoint files and the models in them. */
export const checkpointDiagnostics = {
  EM1001: {
    what: 'checkpoint not found or not readable',
    fix: 'give --model a Hugging Face directory or a llama2.c .bin file that exists and can be read',
    exit: 2,
  },
  EM1002: {
    what: 'checkpoint format is not supported',
    fix: 'give a Hugging Face directory (config.json and model.safetensors) or a llama2.c version 0 .bin file',
    exit: 2,
  },
  EM1003: {
    what: 'folder is not a Hugging Face checkpoint',
    fix: 'give the folder that holds config.json beside model.safetensors or model.safetensors.index.json',
    exit: 2,
  },
  EM1004: {
    what: 'JSON file of the checkpoint is not valid',
    fix: 'fetch the file again, or repair it',
    exit: 2,
  },
  EM1005: {
    what: 'config.json lacks a key that is needed',
    fix: 'add the key with the value the model was trained with',
    exit: 2,
  },
  EM1006: {
    what: 'setting of the model has a value that cannot be used',
    fix: 'set the value the model was trained with; if it is that already, the model is beyond the limits named',
    exit: 2,
  },
  EM1007: {
    what: 'architecture is not supported',
    fix: 'use a model of one of the supported architectures',
    exit: 2,
  },
  EM1008: {
    what: 'config.json asks for arithmetic that this version does not do',
    fix: 'use a model without this setting; leaving the setting out of account would give wrong answers',
    exit: 2,
  },
  EM1009: {
    what: 'header of the safetensors file is not valid',
    fix: 'fetch the file again; if it was converted, convert it again',
    exit: 2,
  },
  EM1010: {
    what: 'weight is NaN or infinite',
    fix: 'train or convert the model again; float16 overflows beyond 65504, bfloat16 and float32 do not',
    exit: 2,
  },
  EM1011: {
    what: 'weight file is truncated',
    fix: 'fetch the file again and compare its size with the original',
    exit: 2,
  },
  EM1012: {
    what: 'tensors overlap in the weight file',
    fix: 'convert the model again: every tensor needs bytes of its own',
    exit: 2,
  },
  EM1013: {
    what: 'size of a tensor does not follow from its shape and type',
    fix: 'fetch the file again; if it was converted, convert it again',
    exit: 2,
  },
  EM1014: {
    what: 'element type of a tensor cannot be read',
    fix: 'convert the weights to float32, float16 or bfloat16',
    exit: 2,
  },
  EM1015: {
    what: 'tensor is missing',
    fix: 'check that config.json belongs to these weights and that every shard is there',
    exit: 2,
  },
  EM1016: {
    what: 'tensor has the wrong shape',
    fix: 'check that config.json belongs to these weights',
    exit: 2,
  },
  EM1017: {
    what: 'index of the shards is not valid or disagrees with them',
    fix: 'fetch model.safetensors.index.json and all shards again, from one revision',
    exit: 2,
  },
  EM1018: {
    what: 'not a llama2.c version 0 file, or the file is damaged',
    fix: 'fetch the file again, or export it with llama2.c: python export.py model.bin --version 0',
    exit: 2,
  },
  EM1019: {
    what: 'weights contradict config.json',
    fix: 'correct config.json, or use the config.json that belongs to these weights',
    exit: 2,
  },
} as const satisfies Record<`EM10${string}`, Diagnostic>;
