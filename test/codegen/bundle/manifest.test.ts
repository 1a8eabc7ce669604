import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { type Manifest, readManifest } from '../../../codegen/bundle/manifest.js';
import { x86_64Avx2 } from '../../../targets/x86_64-avx2.js';
import { expectError } from '../checkpoint/expect-error.js';

const folder = mkdtempSync(join(tmpdir(), 'em-manifest-'));
t.teardown(() => rmSync(folder, { recursive: true }));

const manifest: Manifest = {
  schemaVersion: 1,
  tool: { name: 'embed-model', version: '0.1.0' },
  model: { name: 'm', family: 'llama', architecture: 'A', parameters: 3, sha256: 'aa', source: './m' },
  target: 'x86_64-avx2',
  targetSpec: x86_64Avx2,
  plan: { schemaVersion: 1, name: 'int8', groupSize: 32, rules: [{ match: '*', format: 'w8' }] },
  context: 64,
  build: { id: 'bb', quantizedSha256: 'cc' },
  quantization: {
    method: 'round to nearest',
    bitsPerWeight: 8.25,
    calibration: { source: 'ids', sha256: 'dd', tokens: 10 },
    ranges: { residual: 1.5 },
  },
  tensors: [{ name: 'embed', format: 'w8', rows: 1, columns: 3, bytes: 8 }],
  ops: [{ section: 'prologue', index: 0, kind: 'embed', name: 'embed' }],
  logitsFrac: 20,
  tokenizer: false,
  singleFile: false,
  memory: {
    ...{ blobBytes: 1, weightsBytes: 1, arenaBytes: 1, stateBytes: 1, kvCacheBytes: 1, activationBytes: 1 },
    stackBytes: null,
  },
  code: null,
  toolchain: null,
  golden: [
    {
      prompt: null,
      promptIds: [1],
      sampling: { temperatureQ16: 0, topK: 0, topPQ16: 65536, seed: '0' },
      tokenIds: [2],
      logitsDigest: 'ee',
    },
  ],
  files: { 'model.blob': 'ff' },
};

function write(text: string): void {
  writeFileSync(join(folder, 'manifest.json'), text);
}

t.test('a manifest comes back as it was written', async (t) => {
  write(JSON.stringify(manifest));
  t.same(readManifest(folder), manifest);
});

t.test('what is no manifest', async (t) => {
  const refuse = (text: string, pattern: RegExp) => {
    write(text);
    expectError(t, 'EM1401', pattern, () => readManifest(folder));
  };
  refuse('{', /not JSON/);
  refuse('null', /not a JSON object/);
  refuse('{"tool": {"name": "other"}}', /not of embed-model/);
  refuse(JSON.stringify({ ...manifest, schemaVersion: 2 }), /schemaVersion is 2/);
  refuse(JSON.stringify({ ...manifest, golden: null }), /golden is no list/);
  refuse(JSON.stringify({ ...manifest, golden: [null] }), /golden\[0\] is no object/);
  refuse(JSON.stringify({ ...manifest, context: -1 }), /context is no non-negative integer/);
  refuse(JSON.stringify({ ...manifest, files: ['a'] }), /files is no object/);
  rmSync(join(folder, 'manifest.json'));
  expectError(t, 'EM1401', /cannot be read/, () => readManifest(folder));
});

t.test('every field is needed, and of its type', async (t) => {
  /** Paths of all fields and list items. */
  function* paths(value: unknown, path: readonly string[]): Generator<readonly string[]> {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, item] of Object.entries(value)) {
      yield [...path, key];
      yield* paths(item, [...path, key]);
    }
  }
  // Checked where they are used.
  const unchecked = /^(tool\.version|targetSpec\..*|plan\.(schemaVersion|groupSize))$/;
  for (const path of paths(manifest, [])) {
    if (unchecked.test(path.join('.'))) continue;
    const copy: unknown = structuredClone(manifest);
    let parent = copy as Record<string, unknown>;
    for (const key of path.slice(0, -1)) parent = parent[key] as Record<string, unknown>;
    parent[path.at(-1)!] = [null]; // right for nothing
    write(JSON.stringify(copy));
    expectError(t, 'EM1401', /./, () => readManifest(folder));
  }
});
