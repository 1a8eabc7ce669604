/**
 * Refuses operands of `matmul` that do not hold what their shape says: an index beyond a typed array reads
 * NaN.
 */
export function checkShapes(
  y: Float32Array,
  x: Float32Array,
  w: Float32Array,
  tokens: number,
  rows: number,
  cols: number,
): void {
  if (!Number.isInteger(tokens) || tokens < 0) throw new RangeError(`matmul of ${tokens} tokens`);
  if (!Number.isInteger(rows) || rows < 1) throw new RangeError(`matmul with ${rows} rows`);
  if (!Number.isInteger(cols) || cols < 1) throw new RangeError(`matmul with ${cols} columns`);
  checkLength('y', y, tokens, rows);
  checkLength('x', x, tokens, cols);
  checkLength('w', w, rows, cols);
}

function checkLength(name: string, values: Float32Array, height: number, width: number): void {
  if (values.length < height * width) {
    throw new RangeError(`matmul: ${name} has ${values.length} elements, ${height} x ${width} are needed`);
  }
}
