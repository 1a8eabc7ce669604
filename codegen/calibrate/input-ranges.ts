/** Names under which the ranges of calibration hold what quantize ops with fixed scales read. */

/** Of the op `name` of a layer; layer -1: of prologue or epilogue. */
export function inputRange(layer: number, name: string): string {
  return layer < 0 ? `${name}.input` : `layers.${layer}.${name}.input`;
}
