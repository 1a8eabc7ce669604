/** Deeper than any file of a checkpoint; what walks a value recursively stays far from the end of the stack. */
const mostNesting = 64;

/**
 * What JSON.parse lets pass and a reader must not, or null: a key that stands twice in one object (JSON.parse
 * keeps the last of them silently, so two readers of one file could see different tensors) and nesting without
 * bound. The text must have passed JSON.parse before.
 */
export function findStructuralFault(json: string): string | null {
  // One entry an open bracket: the keys seen so far of an object, null for an array.
  const open: (Set<string> | null)[] = [];
  let keyExpected = false;
  for (let at = 0; at < json.length; at++) {
    if (open.length > mostNesting) return `nested more than ${mostNesting} deep`;
    switch (json[at]) {
      case '{':
        open.push(new Set());
        keyExpected = true;
        break;
      case '[':
        open.push(null);
        keyExpected = false;
        break;
      case '}':
      case ']':
        open.pop();
        keyExpected = false;
        break;
      case ',':
        keyExpected = open.at(-1) instanceof Set;
        break;
      case '"': {
        const end = endOfString(json, at);
        const keys = open.at(-1);
        if (keyExpected && keys) {
          // Escapes are resolved, so that "a" and "\u0061" count as the same key.
          const key = String(JSON.parse(json.slice(at, end + 1)));
          if (keys.has(key)) return `key ${JSON.stringify(key)} stands twice`;
          keys.add(key);
          keyExpected = false;
        }
        at = end;
        break;
      }
    }
  }
  return null;
}

/** Index of the quote that closes the string which opens at `start`. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at;
}
