/**
 * Compiles the AssemblyScript of codegen/calibrate/wasm into WebAssembly beside the compiled TypeScript.
 *
 *     node scripts/build-wasm.mjs [dist]
 *
 * The output holds no names, paths or times: same source and compiler, same bytes.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = resolve(process.argv[2] ?? join(root, 'dist'));
const sources = ['codegen/calibrate/wasm/matmul.ts'];

/** No runtime: the kernels allocate nothing. The host grows the memory from one page, to at most 1 GiB. */
const options = [
  ...['--optimizeLevel', '3', '--converge', '--noAssert'],
  ...['--runtime', 'stub', '--enable', 'simd'],
  ...['--initialMemory', '1', '--maximumMemory', '16384'],
];

for (const source of sources) {
  const outFile = join(dist, dirname(source), `${basename(source, '.ts')}.wasm`);
  let wasm;
  const { error, stderr } = await asc.main(
    [source, '--baseDir', root, '--outFile', 'kernel.wasm', ...options],
    {
      writeFile: (_name, contents) => {
        wasm = contents;
      },
    },
  );
  if (error || wasm === undefined) {
    process.stderr.write(`${stderr.toString()}${source}: ${error?.message ?? 'asc wrote nothing'}\n`);
    process.exit(1);
  }
  mkdirSync(dirname(outFile), { recursive: true });
  writeFileSync(outFile, wasm);
}
