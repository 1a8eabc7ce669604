/** Weights of 50 and 99 MB in a kernel, and what the module takes beside them; 101 MB are refused before anything is compiled. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { build } from '../../codegen/pipeline.js';
import { namedPlans } from '../../codegen/quantize/plan.js';
import { writeRandomCheckpoint } from '../bench/random-checkpoint.js';
import { scratchFolder } from '../boards/board-bundle.js';
import { expectRejection } from '../boards/expect-rejection.js';
import { boardHeaders } from '../boards/kernel-board.js';
import { askCommands, bootWith, moduleFiles, targetNamed } from '../boards/module-board.js';
import { boardImage, type Machine, machines } from '../boards/qemu-board.js';
import { quietContext } from '../codegen/evaluate/tiny-bundle.js';

t.setTimeout(7_200_000);

const [x86] = machines as readonly [Machine];
/** Weights lie in the initramfs, in the root file system made of it, and in the firmware buffer. */
const machine: Machine = { ...x86, args: x86.args.map((arg) => (arg === '512' ? '2G' : arg)) };
const image = boardImage(machine);
const headers = typeof image === 'string' ? image : boardHeaders(machine, image);

/** A model of random weights whose blob has about so many bytes: 16 bits a weight, the vocabulary makes up what is missing. */
function writeModel(folder: string, bytes: number): string {
  const [dim, hidden, layers] = [512, 1376, 6];
  const perLayer = 4 * dim * dim + 3 * dim * hidden;
  const vocab = Math.floor((bytes / 2 - layers * perLayer) / (dim + 3));
  const path = join(folder, 'model.bin');
  writeRandomCheckpoint(path, { dim, hidden, layers, heads: 8, kvHeads: 8, vocab, context: 64 }, 1);
  return path;
}

function buildModel(folder: string, bytes: number) {
  const options = {
    ...{ target: targetNamed('x86_64-avx2'), model: writeModel(folder, bytes), out: join(folder, 'out') },
    ...{ plan: namedPlans.int16!, calibration: null, context: 64, toolchain: null, fetch: false },
    ...{ singleFile: false, tokenizer: false, prompt: null, tokens: 4, threads: 1, run: false },
    ...{ kernelModule: true, kernelHeaders: typeof headers === 'string' ? null : headers.folder },
  };
  return build(options, quietContext());
}

async function answers(t: Test, megabytes: number): Promise<void> {
  if (typeof image === 'string' || typeof headers === 'string') return t.plan(0, String(headers));
  const folder = scratchFolder('weights');
  const built = await buildModel(folder, megabytes * 1e6);
  t.equal(Math.round(built.manifest.memory.blobBytes / 1e6), megabytes);
  const target = targetNamed('x86_64-avx2');
  const files = moduleFiles({ ...built, image, target, headers: headers.folder, folder });
  const sh = await bootWith(t, machine, image, files);
  const vmalloc = async () => Number(/VmallocUsed: +(\d+)/.exec((await sh('cat /proc/meminfo')).said)?.[1]);
  const before = await vmalloc();
  t.same(await sh('insmod /lib/modules/embed_model.ko'), { said: '', code: 0 });
  const beside = (await vmalloc()) - before - built.manifest.memory.blobBytes / 1024;
  t.comment(`${megabytes} MB: ${Math.round(beside)} kB of vmalloc beside the firmware buffer`);
  t.ok(beside < 1024, 'less than 1 MiB beside the weights while no file is open');
  for (const { run, ids } of askCommands(built.manifest)) {
    t.match((await sh(ids)).said, `digest ${run.logitsDigest}`);
  }
  t.same(await sh('rmmod embed_model'), { said: '', code: 0 });
}

const skip = typeof headers === 'string' ? headers : false;

for (const megabytes of [50, 99]) t.test(`${megabytes} MB`, { skip }, (t) => answers(t, megabytes));

t.test('101 MB', { skip }, async (t) => {
  const folder = scratchFolder('weights');
  await expectRejection(t, 'EM5001', /10[01]\.\d MB, and the limit is 100\.0 MB/, buildModel(folder, 101e6));
  t.notOk(existsSync(join(folder, 'out')));
});
