/** Reads what Python's pprint writes of plain data: dicts, lists, tuples, strings, numbers, None, True and False. */

export type PythonValue = null | boolean | number | string | PythonValue[] | { [key: string]: PythonValue };

/** Null where the text is no such value. Nesting is bounded: the text comes from other machines. */
export function parsePythonLiteral(text: string): PythonValue | undefined {
  const reader = new Reader(text);
  try {
    const value = reader.value(0);
    return reader.atEnd() ? value : undefined;
  } catch (error) {
    if (error instanceof NotALiteral) return undefined;
    throw error;
  }
}

class NotALiteral extends Error {}

const deepest = 20;
const words: Readonly<Record<string, PythonValue>> = { None: null, True: true, False: false };
const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

class Reader {
  private at = 0;

  constructor(private readonly text: string) {}

  atEnd(): boolean {
    this.skipSpace();
    return this.at === this.text.length;
  }

  value(depth: number): PythonValue {
    if (depth > deepest) throw new NotALiteral();
    const character = this.peek();
    if (character === '{') return this.dict(depth);
    if (character === '[') return this.list(depth, ']');
    if (character === '(') {
      // A long string is written as several side by side in parentheses.
      const values = this.list(depth, ')');
      return values.length === 1 ? values[0] : values;
    }
    if (character === "'" || character === '"') return this.strings();
    const [word] = /^[\w.+-]+/.exec(this.text.slice(this.at, this.at + 40)) ?? [''];
    this.at += word.length;
    if (Object.hasOwn(words, word)) return words[word];
    const number = Number(word);
    if (word === '' || !Number.isFinite(number)) throw new NotALiteral();
    return number;
  }

  private dict(depth: number): PythonValue {
    const entries: [string, PythonValue][] = [];
    this.take('{');
    while (this.peek() !== '}') {
      const key = this.value(depth + 1);
      this.take(':');
      entries.push([String(key), this.value(depth + 1)]);
      if (this.peek() !== '}') this.take(',');
    }
    this.take('}');
    return Object.fromEntries(entries);
  }

  private list(depth: number, end: ']' | ')'): PythonValue[] {
    const values: PythonValue[] = [];
    this.at += 1;
    while (this.peek() !== end) {
      values.push(this.value(depth + 1));
      if (this.peek() !== end) this.take(',');
    }
    this.take(end);
    return values;
  }

  private strings(): string {
    let text = '';
    for (let quote = this.peek(); quote === "'" || quote === '"'; quote = this.peek()) {
      for (this.at += 1; this.text[this.at] !== quote; this.at += 1) {
        if (this.at >= this.text.length) throw new NotALiteral();
        if (this.text[this.at] === '\\') {
          this.at += 1;
          text += escapes[this.text[this.at]] ?? this.text[this.at];
        } else text += this.text[this.at];
      }
      this.at += 1;
    }
    return text;
  }

  private peek(): string | undefined {
    this.skipSpace();
    return this.text[this.at];
  }

  private take(character: string): void {
    if (this.peek() !== character) throw new NotALiteral();
    this.at += 1;
  }

  private skipSpace(): void {
    while (/\s/.test(this.text[this.at] ?? '')) this.at += 1;
  }
}
