import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { TapReader } from './tap-reader.mjs';

/**
 * Runs compiled test files, each a process of its own as `node dist/test/NAME.test.js` would be: without the runner of tap, which
 * loads modules into every Node process that a test starts, so that none of them would be as users have it, nor as fast.
 */
export class TestFileRun {
  /** Counts of assertions; a file that does not end well without a failed assertion is one failure more. */
  total = { passed: 0, failed: 0, skipped: 0 };
  #running = new Set();
  #done = 0;
  #all = 0;

  /**
   * `root` is the folder of the package. A file that takes longer than `timeoutSeconds` hangs, and is ended with all that it
   * started. `write` gets one string for each file: its verdict, its failures, what it skipped.
   */
  constructor({ root, timeoutSeconds, write }) {
    Object.assign(this, { root, timeoutSeconds, write });
  }

  /** `names` are sources, as test/NAME.test.ts; `jobs` files run at a time. With `lint` the linter is one assertion more. */
  async run(names, { jobs, lint }) {
    const waiting = names.map((name) => () => this.#file(name));
    if (lint) waiting.unshift(() => this.#lint());
    this.#all = waiting.length;
    const worker = async () => {
      for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) await job();
    };
    await Promise.all(Array.from({ length: jobs }, worker));
  }

  /** Ends every file that runs, with all that they started. */
  stop() {
    for (const child of this.#running) killGroup(child);
  }

  async #file(name) {
    const startedMs = performance.now();
    const compiled = join('dist', name.replace(/\.ts$/, '.js'));
    const { stdout, stderr, failure } = await this.#node(['--enable-source-maps', compiled]);
    const reader = new TapReader();
    for (const line of stdout.split('\n')) reader.read(line);
    const { counts, lines } = reader;
    const endsByItself = failure === undefined || failure.startsWith('exit code');
    if (counts.failed === 0 || !endsByItself) {
      const what = failure ?? reader.missing();
      if (what !== undefined) {
        counts.failed += 1;
        lines.push(`       not ok: ${what}`);
      }
    }
    if (counts.failed > 0 && stderr.trim() !== '') lines.push(stderr.trimEnd());
    this.#show(name, counts, startedMs, lines);
  }

  async #lint() {
    const startedMs = performance.now();
    const biome = join('node_modules', '@biomejs', 'biome', 'bin', 'biome');
    const { stdout, stderr, failure } = await this.#node([biome, 'check', '.']);
    const isClean = failure === undefined;
    const counts = { passed: isClean ? 1 : 0, failed: isClean ? 0 : 1, skipped: 0 };
    this.#show('lint', counts, startedMs, isClean ? [] : [stdout, stderr, `       not ok: ${failure}`]);
  }

  #show(name, counts, startedMs, lines) {
    for (const key of Object.keys(this.total)) this.total[key] += counts[key];
    this.#done += 1;
    const verdict = counts.failed === 0 ? 'ok    ' : 'FAILED';
    const place = `${this.#done}/${this.#all}`.padStart(7);
    const took = `${((performance.now() - startedMs) / 1000).toFixed(1)} s`.padStart(8);
    this.write([`${verdict} ${place} ${took}  ${name}`, ...lines].join('\n'));
  }

  /** Runs a Node program; what it writes comes back, with why it ended if that was no success. */
  #node(args) {
    const child = spawn(process.execPath, args, {
      cwd: this.root,
      env: { ...process.env, TAP_TIMEOUT: '900' }, // tap's own limit, in seconds, for one test of a file
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: process.platform !== 'win32', // a process group of its own
    });
    this.#running.add(child);
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (text) => {
        output[name] += text;
      });
    }
    let isTooLong = false;
    const timer = setTimeout(() => {
      isTooLong = true;
      killGroup(child);
    }, this.timeoutSeconds * 1000);
    // What a file started may live on, and would hold its output open.
    let leftovers;
    child.on('exit', () => {
      leftovers = setTimeout(() => killGroup(child), 1000);
    });
    return new Promise((resolve) => {
      child.on('error', ({ message }) => resolve({ ...output, failure: message }));
      child.on('close', (code, signal) => {
        clearTimeout(timer);
        clearTimeout(leftovers);
        this.#running.delete(child);
        const tooLong = isTooLong ? `no end after ${this.timeoutSeconds} s` : undefined;
        const ended = signal === null ? `exit code ${code}` : `ended by ${signal}`;
        resolve({ ...output, failure: tooLong ?? (code === 0 ? undefined : ended) });
      });
    });
  }
}

/** Ends a process and all that it started, as far as they did not leave its process group. */
function killGroup(child) {
  try {
    if (process.platform === 'win32') child.kill();
    else process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error; // none of them is left
  }
}
