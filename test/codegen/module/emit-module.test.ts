/** The module's sources as they come into a bundle. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { GoldenRun } from '../../../codegen/bundle/manifest.js';
import { templatesFolder } from '../../../codegen/emit/render.js';
import { seededSampling } from '../../../codegen/evaluate/golden-run.js';
import { emitModule, firmwareName } from '../../../codegen/module/emit-module.js';

const common = { target: { kernelModeVectors: null }, linked: false } as const;
const buildId = '0123456789abcdef'.repeat(4);
const run: GoldenRun = {
  ...{ prompt: null, promptIds: Array.from({ length: 13 }, (_, i) => i * 7), tokenIds: [3, 1, 2] },
  ...{ sampling: { ...seededSampling, seed: '18446744073709551615' }, logitsDigest: 'fedcba9876543210' },
};

t.test('weights are found by the name of their build', async (t) => {
  t.equal(firmwareName(buildId), 'embed_model/0123456789abcdef.blob');
  const files = emitModule({ buildId, golden: [run], ...common });
  t.match(files.get('module/names.h'), /EM_FIRMWARE_NAME "embed_model\/0123456789abcdef\.blob"/);
  t.ok(files.has('module/Kbuild'));
  t.notOk([...files.keys()].some((path) => path.endsWith('.hbs')));
});

t.test(
  'kernels for vector registers come with their brackets and with kernels in general registers',
  async (t) => {
    const plain = emitModule({ buildId, golden: [run], ...common });
    t.match(plain.get('module/names.h'), /EM_VECTORS 0\n/);
    t.notOk([...plain.keys()].some((path) => path.startsWith('module/vectors')));
    const vectors = emitModule({
      buildId,
      golden: [run],
      ...common,
      target: { kernelModeVectors: 'kernel_neon' },
    });
    t.match(vectors.get('module/names.h'), /EM_VECTORS 1\n/);
    for (const name of ['sections.c', 'vector.c', 'plain.c', 'portable/em_row_sums.h']) {
      t.ok(vectors.has(`module/vectors/${name}`), name);
    }
  },
);

t.test('a run without tokens is no golden run of the module', async (t) => {
  const files = emitModule({ buildId, golden: [run, { ...run, tokenIds: [] }], ...common });
  t.match(files.get('module/golden.h'), /EM_GOLDENS 1u/);
});

t.test(
  'golden runs compile to what they were',
  { skip: spawnSync('gcc', ['--version']).error?.message ?? false },
  async (t) => {
    const folder = t.testdir();
    const files = emitModule({ buildId, golden: [run], ...common });
    for (const name of ['golden.c', 'golden.h']) {
      writeFileSync(join(folder, name), files.get(`module/${name}`)!);
    }
    for (const name of ['em.h', 'em_port.h']) {
      writeFileSync(join(folder, name), readFileSync(join(templatesFolder, 'runtime', name)));
    }
    const program = `#include <stdio.h>
#include "golden.h"
int main(void)
{
    const struct em_golden *g = em_goldens;
    printf("%u %u %d %d %u %lx %lx\\n", g->prompt_count, g->count, g->prompt[12], g->ids[2], g->sampler.top_k,
           (unsigned long)g->seed, (unsigned long)g->digest);
}`;
    writeFileSync(join(folder, 'print.c'), program);
    const flags = ['-std=c11', '-Wall', '-Wextra', '-Werror', '-Wconversion'];
    const texts = [join(folder, 'print.c'), join(folder, 'golden.c')];
    const compiled = spawnSync('gcc', [...flags, ...texts, '-o', join(folder, 'print')], {
      encoding: 'utf8',
    });
    t.equal(compiled.stderr, '');
    const printed = spawnSync(join(folder, 'print'), { encoding: 'utf8' }).stdout;
    t.equal(printed, '13 3 84 2 40 ffffffffffffffff fedcba9876543210\n');
  },
);
