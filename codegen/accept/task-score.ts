/** How many items of a task benchmark two models solve. */
export interface TaskScore {
  readonly items: number;
  /** Share of items solved. */
  readonly float: number;
  readonly quantized: number;
  /** Items that only one of both solves. */
  readonly onlyFloat: number;
  readonly onlyQuantized: number;
  /** float - quantized, in points (percent of the items), and its standard error over paired items. */
  readonly dropPoints: number;
  readonly standardErrorPoints: number;
}

/** `solved`: of every item, whether the model in float and whether the quantized one solves it; at least one. */
export function scoreTask(
  solved: readonly { readonly float: boolean; readonly quantized: boolean }[],
): TaskScore {
  const items = solved.length;
  const count = (is: (item: (typeof solved)[number]) => boolean) => solved.filter(is).length;
  const onlyFloat = count(({ float, quantized }) => float && !quantized);
  const onlyQuantized = count(({ float, quantized }) => !float && quantized);
  const drop = (onlyFloat - onlyQuantized) / items;
  const variance = (onlyFloat + onlyQuantized) / items - drop ** 2;
  return {
    items,
    float: count(({ float }) => float) / items,
    quantized: count(({ quantized }) => quantized) / items,
    onlyFloat,
    onlyQuantized,
    dropPoints: 100 * drop,
    standardErrorPoints: 100 * Math.sqrt(Math.max(0, variance) / items),
  };
}
