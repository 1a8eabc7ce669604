// `npm test`: sets up what the tests need, compiles, runs them with tap and ends with the line "N passed, N failed".
// Arguments are test files (as under test/, without the suffix) or parts of their paths; none: all of them.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root, setUp } from './setup.mjs';

setUp({ tests: true });

const wanted = process.argv.slice(2);
const files = readdirSync(join(root, 'dist', 'test'), { recursive: true })
  .filter((name) => name.endsWith('.test.js'))
  .filter(
    (name) => wanted.length === 0 || wanted.some((part) => name.includes(part.replace(/\.test\.ts$/, ''))),
  )
  .sort()
  .map((name) => join('dist', 'test', name));

const tap = join(root, 'node_modules', 'tap', 'dist', 'esm', 'run.mjs');
const child = spawn(process.execPath, [tap, '--reporter=tap', ...files], {
  cwd: root,
  stdio: ['ignore', 'pipe', 'inherit'],
  env: { ...process.env, NODE_OPTIONS: '' },
});

const counts = { passed: 0, failed: 0, skipped: 0 };
const open = []; // names of the subtests that lines belong to, by indentation
let details = 0; // lines of a failure's diagnostics still to show
for await (const line of createInterface({ input: child.stdout })) {
  const indent = line.length - line.trimStart().length;
  const subtest = /^\s*# Subtest: (.*)$/.exec(line);
  if (subtest !== null) {
    open[indent / 4] = subtest[1];
    continue;
  }
  const point = /^\s*(not ok|ok) \d+(?: - (.*?))?(?: # (?:time=\S+|(SKIP|TODO)(.*)))?(?: \{)?$/.exec(line);
  if (point !== null) {
    const [, verdict, name = '', directive, reason] = point;
    const closes = open[indent / 4 + 1] !== undefined && name.startsWith(open[indent / 4 + 1]);
    const level = indent / 4;
    open.length = Math.max(0, Math.min(open.length, level + 1));
    if (level === 0) console.log(`${verdict === 'ok' ? 'ok    ' : 'FAILED'} ${name}`);
    if (verdict === 'not ok') {
      details = 40;
      console.log(line);
    }
    if (directive === 'SKIP') {
      counts.skipped += 1;
      console.log(`       skipped: ${name}${reason}`);
    } else if (!closes && level > 0) {
      counts[verdict === 'ok' ? 'passed' : 'failed'] += 1;
    } else if (verdict === 'not ok') {
      counts.failed += 1;
    }
  } else if (details > 0) {
    details -= 1;
    console.log(line);
  }
}
const code = await new Promise((resolve) => child.on('close', resolve));
if (code !== 0 && counts.failed === 0) counts.failed = 1;
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(counts.failed === 0 ? 0 : 1);
