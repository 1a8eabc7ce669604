import type { LinearAlgebra } from './linear-algebra.js';
import { checkShapes } from './linear-algebra-shapes.js';
import type { NativeLibrary } from './native/native-library.js';

/** Linear algebra by the native library: the sums of `wasm`, bit for bit, in wider vectors and by several threads. */
export class NativeLinearAlgebra implements LinearAlgebra {
  readonly name = 'native';

  constructor(readonly native: NativeLibrary) {}

  matmul(...[y, x, w, tokens, rows, cols]: Parameters<LinearAlgebra['matmul']>): void {
    checkShapes(y, x, w, tokens, rows, cols);
    this.native.matmul(y, x, w, tokens, rows, cols);
  }

  /** Nothing to do: the weights are used where they are. */
  keep(_w: Float32Array): void {}
}
