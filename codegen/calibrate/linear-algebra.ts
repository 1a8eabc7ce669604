/** The linear algebra under the float evaluator: one contract, in plain TypeScript, in WebAssembly SIMD and natively. */
import { NativeLinearAlgebra } from './linear-algebra-native.js';
import { PlainLinearAlgebra } from './linear-algebra-plain.js';
import { WasmLinearAlgebra, type WasmOptions } from './linear-algebra-wasm.js';
import { type NativeLibrary, nativeLibrary } from './native/native-library.js';

export interface LinearAlgebra {
  readonly name: 'plain' | 'wasm' | 'native';

  /** What else of calibration and GPTQ runs natively; absent: TypeScript does it, with the same bits. */
  readonly native?: NativeLibrary;

  /**
   * y = x wᵀ: y[t*rows + r] = Σ_k x[t*cols + k] * w[r*cols + k].
   *
   * All row-major float32: w is rows x cols, x is tokens x cols, y is tokens x rows; arrays may be longer
   * than that. y must not share memory with x or w. Each y[t][r] depends on x[t] and w[r] alone, to the last
   * bit: not on the other tokens of the call, nor on `keep`. Against the exact sum S, with A = Σ_k |x_k w_k|
   * and u = 2⁻²⁴, barring overflow and underflow (N. J. Higham, Accuracy and Stability of Numerical
   * Algorithms, 2002, section 3.1):
   *
   * - plain sums in float64:           |y - S| <= u |S| + cols 2⁻⁵² A
   * - wasm sums in four float32 lanes: |y - S| <= n u / (1 - n u) A with n = `wasmRoundings(cols)`, which is
   *   8e-6 A up to 1024 columns
   * - native sums: those of wasm, bit for bit
   *
   * @throws RangeError when an array is shorter than its shape, or a dimension is not a positive integer
   *   (tokens may be 0).
   */
  matmul(y: Float32Array, x: Float32Array, w: Float32Array, tokens: number, rows: number, cols: number): void;

  /**
   * Promises that `w` (this very object) does not change any more. An implementation with a memory of its own
   * may then copy it once instead of at every call. A hint: results are the same without it.
   */
  keep(w: Float32Array): void;
}

/**
 * The fastest implementation this host can run: native where provideNativeLibrary found a library, wasm where its module is
 * built and the engine has 128-bit SIMD, else plain. One instance a model: what it keeps is freed with it.
 */
export function createLinearAlgebra(options: WasmOptions = {}): LinearAlgebra {
  const native = nativeLibrary();
  if (native !== null) return new NativeLinearAlgebra(native);
  return WasmLinearAlgebra.load(options) ?? new PlainLinearAlgebra();
}
