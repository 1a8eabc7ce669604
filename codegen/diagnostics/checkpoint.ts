import type { Diagnostic } from './catalog.js';

/** EM10xx: checkpoint files and the models in them. */
export const checkpointDiagnostics = {
  EM1001: {
    what: 'checkpoint not found or not readable',
    fix: 'give --model a Hugging Face folder or a GGUF, .pt or llama2.c .bin file that exists and can be read',
    exit: 2,
  },
  EM1002: {
    what: 'checkpoint format is not supported',
    fix: 'give a Hugging Face folder (config.json and weights), a GGUF file, a PyTorch file or a llama2.c .bin file',
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
    what: 'not a llama2.c file, or the file is damaged',
    fix: 'fetch the file again, or export it with llama2.c: python export.py model.bin --version 1',
    exit: 2,
  },
  EM1019: {
    what: 'weights contradict config.json',
    fix: 'correct config.json, or use the config.json that belongs to these weights',
    exit: 2,
  },
  EM1030: {
    what: 'PyTorch file is damaged',
    fix: 'fetch the file again, or save it again with torch.save(model.state_dict(), FILE)',
    exit: 2,
  },
  EM1031: {
    what: 'pickle asks for more than a checkpoint needs',
    fix: 'nothing of it was run; in Python, load it and save only the tensors: torch.save(model.state_dict(), FILE)',
    exit: 2,
  },
  EM1032: {
    what: 'PyTorch file is of the format from before version 1.6',
    fix: 'in Python: torch.save(torch.load(FILE, weights_only=True), NEW), or save as safetensors',
    exit: 2,
  },
  EM1033: {
    what: 'PyTorch file does not say what model it is',
    fix: 'put the config.json of the model beside it, or give the Hugging Face folder',
    exit: 2,
  },
  EM1034: {
    what: 'GGUF file is damaged or of an unknown version',
    fix: 'fetch the file again, or convert the model again with a current llama.cpp',
    exit: 2,
  },
  EM1035: {
    what: 'model of the GGUF file is not supported',
    fix: 'use a GGUF of the llama, qwen2, qwen3 or gpt2 architecture, or the original Hugging Face folder',
    exit: 2,
  },
  EM1036: {
    what: 'parts of a quantized matrix do not fit together',
    fix: 'fetch the weights again; quantization_config in config.json must be the one they were quantized with',
    exit: 2,
  },
  EM1037: {
    what: 'way in which the weights were quantized is not supported',
    fix: 'use weights quantized by GPTQ, AWQ (gemm) or compressed-tensors (pack-quantized), or the unquantized ones',
    exit: 2,
  },
  EM1060: {
    what: 'not a .crystal file of version 1 or 2, or the file is damaged',
    fix: 'fetch the file again, or compile it again from its PyTorch checkpoint',
    exit: 2,
  },
  EM1061: {
    what: '.crystal file lacks scales that its integers need',
    fix: 'fit them with --calibration FILE, give them with --scales FILE, or use the PyTorch checkpoint',
    exit: 2,
  },
  EM1062: {
    what: 'scales for a .crystal file are not valid',
    fix: 'see docs/adding-a-family.md, section .crystal files, for the fields of the file',
    exit: 2,
  },
} as const satisfies Record<`EM10${string}`, Diagnostic>;
