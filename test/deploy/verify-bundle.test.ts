import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { verifySummary } from '../../codegen/commands/verify-summary.js';
import { compileModel } from '../../codegen/compile/model-library.js';
import { findToolchain } from '../../codegen/compile/toolchain.js';
import { EmbedError } from '../../codegen/diagnostics/error.js';
import { findLauncher } from '../../deploy/local.js';
import { TraceReader } from '../../deploy/trace-reader.js';
import { type VerifyOptions, verifyBundle } from '../../deploy/verify-bundle.js';
import { targets } from '../../targets/index.js';
import { expectError } from '../codegen/checkpoint/expect-error.js';
import { buildTinyBundle, editManifest, quietContext } from '../codegen/evaluate/tiny-bundle.js';

const folder = mkdtempSync(join(tmpdir(), 'em-verify-'));
t.teardown(() => rmSync(folder, { recursive: true }));
// What is left behind in the temporary folder shows.
const temporary = join(folder, 'tmp');
mkdirSync(temporary);
process.env.TMPDIR = temporary;

const options: VerifyOptions = { layers: true, mode: 'auto', threads: 2 };

for (const target of targets.filter(({ name }) => name !== 'riscv-u74-zb')) {
  const obstacle = await Promise.all([findToolchain(target), findLauncher(target)]).then(
    () => false as const,
    (error: unknown) => {
      if (error instanceof EmbedError && /^EM3/.test(error.code)) return error.message;
      throw error;
    },
  );
  t.test(
    `a bundle for ${target.name} computes what the reference does, in every op`,
    { skip: obstacle },
    async (t) => {
      const { bundle, manifest } = await buildTinyBundle(join(folder, target.name), target, 'int4');
      const report = await verifyBundle(bundle, options, quietContext());
      t.equal(report.matches, true);
      t.equal(report.buildId, manifest.build.id);
      t.equal(report.emulated, (await findLauncher(target)).emulated);
      t.same(report.files, { checked: Object.keys(manifest.files).length, different: [] });

      t.equal(
        report.runs.length,
        8,
        'two golden runs: as they were, then as prompts in chunks of 1, of 7 and whole',
      );
      for (const { digest, sameTokens, generatedTokens } of report.runs) {
        t.equal(digest.found, digest.expected);
        t.equal(sameTokens, generatedTokens === 0 ? null : true);
      }
      const layers = report.layers!;
      t.equal(layers.firstDifference, null);
      t.equal(
        layers.positions,
        manifest.golden[0]!.promptIds.length + manifest.golden[0]!.tokenIds.length - 1,
      );
      const traced = layers.ops.filter(({ layer }) => layer === 1).map(({ name }) => name);
      const inManifest = manifest.ops.filter(
        ({ section, kind }) => section === 'layer' && kind !== 'quantize',
      );
      t.same(
        traced,
        inManifest.map(({ name }) => name),
      );
      t.ok(layers.ops.every(({ identical }) => identical));
      const embed = layers.ops[0]!;
      t.ok(embed.sqnrDb! > 15 && embed.sqnrDb! < 45, `rounding to 4 bits: ${embed.sqnrDb} dB`);
      t.match(verifySummary(report), /equal to the reference, bit for bit/);
      t.same(
        readdirSync(temporary).filter((name) => !name.startsWith('v8-compile-cache')),
        [],
      );
    },
  );
}

const native = targets.find(
  (target) => target.arch === { x64: 'x86_64', arm64: 'aarch64' }[process.arch as string],
);
const cannot =
  native === undefined
    ? 'no target is of this architecture'
    : await Promise.all([findToolchain(native), findLauncher(native)]).then(
        () => false as const,
        (error: unknown) => `${error}`,
      );
t.test('what differs is found', { skip: cannot }, async (t) => {
  const { bundle, manifest } = await buildTinyBundle(join(folder, 'altered'), native!);
  const verify = (changes: Partial<VerifyOptions> = {}) =>
    verifyBundle(bundle, { ...options, layers: false, ...changes }, quietContext());
  const { golden } = manifest;

  t.test('golden values that are not met', async (t) => {
    const zeros = '0'.repeat(16);
    editManifest(bundle, () => ({ golden: [golden[0]!, { ...golden[1]!, logitsDigest: zeros }] }));
    const digest = await verify();
    t.equal(digest.matches, false);
    t.same(
      digest.runs.map(({ matches }) => matches),
      [true, true, true, true, false, false, false, false],
    );
    t.match(verifySummary(digest), new RegExp(`NOT ${zeros}[^]*NOT VERIFIED`));

    const [first, ...rest] = golden[0]!.tokenIds;
    editManifest(bundle, () => ({ golden: [{ ...golden[0]!, tokenIds: [(first! + 1) % 12, ...rest] }] }));
    const tokens = await verify();
    t.equal(tokens.runs[0]!.sameTokens, false);
    t.equal(tokens.runs[0]!.matches, false);
    t.match(verifySummary(tokens), /OTHER TOKENS/);

    editManifest(bundle, () => ({ golden: [] }));
    await t.rejects(verify(), { code: 'EM1401' });
    editManifest(bundle, () => ({ golden }));
    t.equal((await verify()).matches, true);
  });

  t.test('a file that is changed or gone', async (t) => {
    const header = join(bundle, 'src', 'em.h');
    const text = readFileSync(header, 'utf8');
    writeFileSync(header, `${text}\n`);
    rmSync(join(bundle, 'runner', 'clock.h'));
    const report = await verify();
    t.same(report.files.different, ['runner/clock.h', 'src/em.h']);
    t.equal(report.matches, false);
    t.match(verifySummary(report), /not as the manifest says: runner\/clock\.h, src\/em\.h/);
    writeFileSync(header, text);
  });

  t.test('a bundle of another build', async (t) => {
    editManifest(bundle, () => ({ build: { ...manifest.build, id: 'f'.repeat(64) } }));
    await t.rejects(verify(), { code: 'EM3205' });
    editManifest(bundle, () => ({ build: manifest.build }));
  });

  t.test('C that computes something else: verify names the op where it begins', async (t) => {
    // Compiled again with the activation of the first layer doubled; the program still says that it is of this build.
    const { bundle, manifest } = await buildTinyBundle(join(folder, 'wrong'), native!);
    const source = join(bundle, 'src', 'model.c');
    const text = readFileSync(source, 'utf8');
    const wrong = text.replace(
      /(\.act = \{[^}]*\.out_shift = )(\d+)/,
      (_, head, shift) => `${head}${shift - 1}`,
    );
    t.not(wrong, text);
    writeFileSync(source, wrong);
    await compileModel(bundle, native!, await findToolchain(native!), quietContext());

    const report = await verifyBundle(bundle, options, quietContext());
    t.equal(report.matches, false);
    t.ok(report.runs.every(({ matches }) => !matches));
    const { firstDifference, ops } = report.layers!;
    const index = manifest.ops.find(({ name }) => name === 'act')!.index;
    t.match(firstDifference, { layer: 0, index, name: 'act', position: 0, element: 0 });
    t.ok(Math.abs(firstDifference!.found - 2 * firstDifference!.expected) <= 1);
    t.same(
      ops.filter(({ layer, identical }) => layer === -1 && !identical).map(({ name }) => name),
      ['head_norm', 'head'],
    );
    t.match(verifySummary(report), /first difference: act of layer 0, position 0, value 0/);
    t.same(
      readdirSync(temporary).filter((name) => !name.startsWith('v8-compile-cache')),
      [],
    );
  });
});

t.test('a damaged trace', async (t) => {
  const path = join(folder, 'trace');
  const entry = (count: number, values: number[]) => [-1, 3, 7, count, ...values];
  const write = (words: number[], bytes?: number) =>
    writeFileSync(path, new Uint8Array(Int32Array.from(words).buffer).subarray(0, bytes));
  write([...entry(2, [5, -6]), ...entry(1, [8])]);
  const reader = new TraceReader(path);
  t.same(reader.next(2), { layer: -1, op: 3, position: 7, values: Int32Array.of(5, -6) });
  t.same(reader.next(1), { layer: -1, op: 3, position: 7, values: Int32Array.of(8) });
  t.equal(reader.next(1), null);
  reader.close();

  const read = () => {
    const reader = new TraceReader(path);
    try {
      reader.next(2);
    } finally {
      reader.close();
    }
  };
  write(entry(2_000_000_000, [1, 2]));
  expectError(t, 'EM3207', /has 2000000000 values, not 2/, read);
  write(entry(2, [1, 2]), 23);
  expectError(t, 'EM3207', /ends within an entry/, read);
  write(entry(2, []), 15);
  expectError(t, 'EM3207', /ends within an entry/, read);
  rmSync(path);
  expectError(t, 'EM3207', /ENOENT/, read);
});
