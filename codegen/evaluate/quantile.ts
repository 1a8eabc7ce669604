/**
 * The quantile of sorted values by linear interpolation between the two nearest: type 7 of R. J. Hyndman and
 * Y. Fan, "Sample quantiles in statistical packages", The American Statistician 50(4), 1996 (the default of R
 * and NumPy).
 *
 * @param sorted at least one number, ascending
 * @param probability 0 (the minimum) to 1 (the maximum)
 */
export function quantile(sorted: Float64Array, probability: number): number {
  const position = probability * (sorted.length - 1);
  const below = Math.floor(position);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
}
