/**
 * Reads what a test file writes, TAP (https://testanything.org/tap-version-14-specification.html), line by line. Counts the
 * assertions; the test point that closes a subtest is counted only if it failed and none of its parts did.
 */
export class TapReader {
  counts = { passed: 0, failed: 0, skipped: 0 };
  /** What to show: failures with their diagnostics, and what was skipped and why. */
  lines = [];

  #planned; // test points that the file announces: "1..N"
  #points = 0; // test points of the file itself
  #open = []; // the subtests that are open, outermost first: { name, failures }
  #diagnostics = 0; // indentation of the diagnostics that follow a failure; 0: none

  read(line) {
    const text = line.trim();
    const indent = line.length - line.trimStart().length;
    if (this.#diagnostics > 0 && (indent >= this.#diagnostics || text === '')) {
      if (text !== '') this.lines.push(line);
      if (text === '...' && indent === this.#diagnostics) this.#diagnostics = 0;
      return;
    }
    this.#diagnostics = 0;
    const level = indent / 4;
    const subtest = /^# Subtest: (.*)$/.exec(text);
    if (subtest !== null) this.#open[level] = { name: subtest[1], failures: this.counts.failed };
    const plan = indent === 0 ? /^1\.\.(\d+)(?: # (.*))?$/.exec(text) : null;
    if (plan !== null) this.#plan(Number(plan[1]), plan[2] ?? '');
    const point = /^(not ok|ok) \d+(?: - (.*?))?(?: # (?:time=\S+|(SKIP|TODO)\b ?(.*)))?$/.exec(text);
    if (point !== null && Number.isInteger(level)) {
      const [, verdict, name = '', directive, reason] = point;
      this.#point(level, verdict === 'ok', name, directive === undefined ? undefined : reason);
    } else if (text.startsWith('Bail out!')) {
      this.#point(0, false, text, undefined);
    }
  }

  /** What the output lacks to be that of a test file which came to its end; undefined if it lacks nothing. */
  missing() {
    const { passed, failed, skipped } = this.counts;
    if (passed + failed + skipped === 0) return 'no tests in this file';
    if (this.#planned === undefined) return 'the output ends before the plan';
    if (this.#points < this.#planned) return `${this.#points} of ${this.#planned} tests of this file ran`;
    return undefined;
  }

  /** A plan of none is a file that skips all of itself, with the reason. */
  #plan(planned, comment) {
    this.#planned = planned;
    if (planned > 0) return;
    this.counts.skipped += 1;
    this.lines.push(`       skipped: the whole file (${comment.replace(/^SKIP */i, '')})`);
  }

  /** `skipped` is the reason why the point was skipped or is still to be done; undefined if it was tested. */
  #point(level, isOk, name, skipped) {
    if (level === 0) this.#points += 1;
    const closed = this.#open[level];
    const path = [...this.#open.slice(0, level).map((subtest) => subtest.name), name].join(' > ');
    this.#open.length = Math.min(this.#open.length, level);
    if (skipped !== undefined) {
      this.counts.skipped += 1;
      this.lines.push(`       skipped: ${path} (${skipped})`);
    } else if (closed === undefined || (!isOk && this.counts.failed === closed.failures)) {
      this.counts[isOk ? 'passed' : 'failed'] += 1;
      if (!isOk) {
        this.lines.push(`       not ok: ${path}`);
        this.#diagnostics = 4 * level + 2;
      }
    }
  }
}
