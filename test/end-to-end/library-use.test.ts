/** examples/consumer.c, as the README shows it: compiled with the sources of a bundle, it says what em-run says. */
import { join } from 'node:path';
import t from 'tap';
import { namedPlans } from '../../codegen/quantize/plan.js';
import { runRunner } from '../../deploy/run-bundle.js';
import { targets } from '../../targets/index.js';
import { compile, compilers, run, warningFlags } from '../templates/c-compiler.js';
import {
  buildBundle,
  cannotRun,
  projectRoot,
  temporaryFolder,
  tinyModels,
  writeCheckpoint,
} from './tiny-bundles.js';

t.setTimeout(1_800_000);

const example = join(projectRoot, 'examples', 'consumer.c');
const targetOf = {
  gcc: 'x86_64-avx2',
  clang: 'x86_64-avx2',
  'aarch64-linux-gnu-gcc': 'cortex-a72',
  'riscv64-linux-gnu-gcc': 'riscv-u74',
};
const prompt = 'the heron said';
const tokens = 24;

for (const [command, name] of Object.entries(targetOf)) {
  const target = targets.find((one) => one.name === name)!;
  const compiler = compilers.find((one) => one.command === command);
  const obstacle = await cannotRun(target);
  const skip = compiler === undefined ? `no ${command}` : obstacle;
  t.test(`consumer.c, ${command} for ${name}`, { skip }, async (t) => {
    const folder = temporaryFolder(t);
    const model = writeCheckpoint(tinyModels[0]!, join(folder, 'model'));
    const plan = namedPlans.int4!;
    const { bundle, manifest } = await buildBundle({ model, target, plan, out: join(folder, 'bundle') });
    const program = join(folder, 'consumer');
    const src = join(bundle, 'src');
    const sources = Object.keys(manifest.files).filter((path) => /^src\/.*\.c$/.test(path));
    const cpu = target.toolchains[0]!.cpuFlags;
    const paths = sources.map((path) => join(bundle, path));
    compile(compiler!, [
      '-O2',
      '-static',
      ...warningFlags,
      ...cpu,
      '-I',
      src,
      example,
      ...paths,
      '-o',
      program,
    ]);

    const blob = join(bundle, 'model.blob');
    const said = run([...compiler!.emulator!, program, blob, prompt, String(tokens)]);
    const seeded = manifest.golden.find(({ sampling }) => sampling.seed === '1')!;
    const request = { prompt, ids: null, tokens, sampling: seeded.sampling, threads: 1, chunk: null };
    const { outcome } = await runRunner(bundle, manifest, request, 'auto', new AbortController().signal);
    t.equal(said, `${prompt}${outcome.text}\n`, 'the text of em-run');
    t.ok(outcome.tokens.length > 4, 'which is not empty');

    t.throws(
      () => run([...compiler!.emulator!, program, example, prompt, '1']),
      /blob truncated|not a blob/,
      'a file that is no blob',
    );
    t.throws(() => run([...compiler!.emulator!, program]), /usage/, 'no arguments');
  });
}
