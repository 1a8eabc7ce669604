/**
 * The thread in which the script of a user's target file runs: gets a TargetScript, answers with the exported
 * target as JSON text, or undefined if there is none. Started by load-target.ts, which sets the limits of
 * time and memory.
 */
import { createContext, runInContext } from 'node:vm';
import { parentPort, workerData } from 'node:worker_threads';
import type { Target } from './target.js';

export interface TargetScript {
  /** A CommonJS module in JavaScript. */
  readonly script: string;
  /** What it gets by importing embed-model. */
  readonly builtIn: readonly Target[];
}

const { script, builtIn } = workerData as TargetScript;

// Everything the script can reach is made inside its own realm, so that it has no way to objects of this one.
const context = createContext(Object.create(null), { codeGeneration: { strings: false, wasm: false } });

const program = `
  const exports = {};
  const module = { exports };
  const require = (name) => {
    if (name !== 'embed-model') throw new Error('a target file can import embed-model and nothing else, not ' + name);
    return { targets: ${JSON.stringify(builtIn)} };
  };
  (function (exports, module, require) {
${script}
  })(exports, module, require);
  JSON.stringify(module.exports.default ?? module.exports.target);
`;

parentPort?.postMessage(runInContext(program, context, { filename: 'target file' }));
