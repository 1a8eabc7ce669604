// Writes solution.json, the solved plan and certificate of the bundled model, from a bundle of it:
//   embed-model build --target x86_64-avx2 --quantize auto --validation TEXT --out BUNDLE
//   node scripts/write-solution.mjs BUNDLE
// The validation text must not be the one in the model's folder. Its first half judged the plans that auto tried; its second half,
// used for nothing else, certified the plan that it chose.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundledModelPath } from '../dist/codegen/checkpoint/model-source.js';

const [bundle] = process.argv.slice(2);
if (bundle === undefined) throw new Error('usage: node scripts/write-solution.mjs BUNDLE');
const read = (...path) => JSON.parse(readFileSync(join(bundle, ...path), 'utf8'));
const { model, plan, context, build, quantization } = read('manifest.json');
if (model.source !== 'bundled') throw new Error(`the bundle is of ${model.source}`);
if (quantization.accepted !== true) throw new Error('the bundle was not accepted');
const solution = {
  schemaVersion: 1,
  modelSha256: model.sha256,
  plan,
  context,
  quantizedSha256: build.quantizedSha256,
  certification: read('report', 'validation_report.json'),
};
const path = join(bundledModelPath, 'solution.json');
writeFileSync(path, `${JSON.stringify(solution, null, 2)}\n`);
console.log(path);
