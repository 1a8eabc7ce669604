/**
 * The part of the WebAssembly JavaScript Interface (W3C) that is used here: @types/node 20 does not declare
 * it.
 */
declare namespace WebAssembly {
  /**
   * Linear memory; `grow` detaches `buffer`, and throws RangeError where the pages (64 KiB) are not to be
   * had.
   */
  interface Memory {
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    constructor(module: Module);
    readonly exports: Record<string, unknown>;
  }
  function validate(bytes: Uint8Array): boolean;
}
