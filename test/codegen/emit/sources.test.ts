/**
 * The C of small models, byte for byte as committed under test/golden, without a warning, without floating point. After a
 * change that is meant: UPDATE_GOLDEN=1, then read the difference.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { cText, type EmissionInput } from '../../../codegen/emit/model-view.js';
import { render } from '../../../codegen/emit/render.js';
import { emitBuildId, emitSources } from '../../../codegen/emit/sources.js';
import { tablesHeader } from '../../../codegen/emit/tables-header.js';
import { layOutBlob } from '../../../codegen/layout/blob.js';
import { kernelSetOf } from '../../../codegen/layout/kernel-set.js';
import { planMemory } from '../../../codegen/layout/memory-plan.js';
import { blobSections } from '../../../codegen/layout/sections.js';
import type { IntegerModel } from '../../../codegen/lower/lower.js';
import { compile, compilers, freestandingFlags, root } from '../../templates/c-compiler.js';
import { CSyntax } from '../../templates/c-syntax.js';
import { tinyBias, tinyIntegerModel, tinyQwen3 } from '../lower/tiny-integer-model.js';

const golden = join(root, 'test', 'golden');
const ownFiles = ['model.c', 'model.h', 'em_memory.h'];
const kernels = kernelSetOf('portable');
const folder = mkdtempSync(join(tmpdir(), 'embed-model-emit-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

function emissionOf(name: string, model: IntegerModel, tokenizer: Uint8Array | null): EmissionInput {
  return {
    modelName: name,
    targetName: 'x86_64-avx2',
    planName: 'mixed',
    model,
    memory: planMemory(model.graph, 4, kernels),
    blob: layOutBlob(blobSections(model, kernels, tokenizer)),
    bosId: 1,
    eosIds: [2, 11],
    hasTokenizer: tokenizer !== null,
  };
}

const models = {
  // Tied, a bias in one layer, two formats, a tokenizer.
  'tiny-llama': () => {
    const formatOf = (matrix: string) => (matrix === 'embed' ? 'w8' : 'w4');
    const model = tinyIntegerModel(join(folder, 'llama'), 10, formatOf, tinyBias());
    return emissionOf('tiny-llama', model, new Uint8Array(300));
  },
  // A head of its own, q/k norms, a window, no tokenizer, no end ids.
  'tiny-qwen3': () => {
    const window = { use_sliding_window: true, sliding_window: 5, max_window_layers: 0 };
    const model = tinyIntegerModel(join(folder, 'qwen3'), 16, () => 'w16', tinyQwen3(window));
    return { ...emissionOf('tiny-qwen3', model, null), bosId: null, eosIds: [] };
  },
};

for (const [name, emission] of Object.entries(models)) {
  const sources = emitSources(emission(), kernels);

  t.test(`${name} is as committed`, async (t) => {
    for (const file of ownFiles) {
      const path = join(golden, name, file);
      if (process.env.UPDATE_GOLDEN === '1') {
        mkdirSync(join(golden, name), { recursive: true });
        writeFileSync(path, sources.get(file)!);
      }
      t.equal(sources.get(file), readFileSync(path, 'utf8'), file);
    }
    t.strictSame([...emitSources(emission(), kernels)], [...sources], 'emitted twice, it is the same');
    t.strictSame([...sources.keys()], [...sources.keys()].sort(), 'files in the order of their names');
  });

  t.test(
    `${name} compiles without a warning`,
    { skip: compilers.length === 0 && 'no compiler' },
    async (t) => {
      const place = join(folder, `${name}-src`);
      mkdirSync(place);
      for (const [file, text] of [...sources, ['build_id.c', emitBuildId(new Uint8Array(32))] as const])
        writeFileSync(join(place, file), text);
      const units = [...sources.keys(), 'build_id.c'].filter((file) => file.endsWith('.c'));
      for (const compiler of compilers) {
        for (const unit of compiler === compilers[0] ? units : ['model.c', 'em_sample.c']) {
          const args = [...freestandingFlags, '-O2', '-c', join(place, unit), '-o', join(place, 'unit.o')];
          t.doesNotThrow(() => compile(compiler, args), `${unit} with ${compiler.name}`);
        }
      }
    },
  );

  t.test(`${name} parses, without floating point`, async (t) => {
    const syntax = await CSyntax.open();
    for (const file of ownFiles) t.strictSame(syntax.faults(sources.get(file)!), [], file);
    t.strictSame(syntax.faults(emitBuildId(new Uint8Array(32))), [], 'build_id.c');
  });
}

t.test('lines of what is emitted for a model stay within 120 columns', async (t) => {
  for (const [name, emission] of Object.entries(models)) {
    const sources = emitSources(emission(), kernels);
    for (const file of ownFiles) {
      const long = sources
        .get(file)!
        .split('\n')
        .filter((line) => line.length > 120);
      t.strictSame(long, [], `${name} ${file}`);
    }
  }
});

t.test('files that are emitted', async (t) => {
  const names = (key: keyof typeof models) => [...emitSources(models[key](), kernels).keys()];
  const withTokenizer = names('tiny-llama');
  const without = names('tiny-qwen3');
  t.ok(withTokenizer.includes('em_tokenizer.c'));
  t.notOk(without.some((name) => name.startsWith('em_tokenizer')));
  t.strictSame(
    withTokenizer.filter((name) => !name.startsWith('em_tokenizer')),
    without,
  );
  t.notOk(withTokenizer.includes('build_id.c'), 'the build id does not cover itself');
});

t.test('names of models cannot leave their string or comment', async (t) => {
  t.equal(cText('a"b\\c?d'), 'a_b_c_d');
  t.equal(cText('*/ int x; /*'), '_ int x; _');
  t.equal(cText('*/*/ /*/ zwölf\n'), '__ _/ zw_lf_');
  t.equal(cText('os-nano 1.5 (x86)'), 'os-nano 1.5 (x86)');
  const evil = { ...models['tiny-qwen3'](), modelName: '"*/ #error " /*', planName: '??/\n"' };
  const syntax = await CSyntax.open();
  const sources = emitSources(evil, kernels);
  for (const file of ownFiles) t.strictSame(syntax.faults(sources.get(file)!), [], file);
});

t.test('build_id.c', async (t) => {
  const text = emitBuildId(Uint8Array.from({ length: 32 }, (_, i) => i * 8));
  t.match(text, /const em_u8 em_build_id\[32\] = \{\n {4}0x00, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38,\n/);
  t.match(text, /0xe0, 0xe8, 0xf0, 0xf8,\n\};/);
});

t.test('a template that asks for what its view lacks is an error', async (t) => {
  t.throws(() => render('ops/add.c.hbs', { output: 'x', width: 4 }), { message: /"input" not defined/ });
});

t.test('em_tables.h is what codegen/arithmetic/tables.ts says', async (t) => {
  t.equal(tablesHeader(), readFileSync(join(root, 'templates', 'kernels', 'em_tables.h'), 'utf8'));
});
