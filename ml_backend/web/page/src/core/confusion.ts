/** Which classes of a confusion matrix are drawn, where there are too many for all. */

export interface Confused {
  /** Places of the classes that are drawn, ascending; the last class is always one of them. */
  places: readonly number[];
  /** The largest number beside the diagonal, of all classes; at least 1. */
  most: number;
}

/** Take the classes that are mixed up most; the last one stands for nothing there. */
export function mostConfused(counts: readonly (readonly number[])[], room: number): Confused {
  const mixedUp = new Float64Array(counts.length);
  let most = 1;
  counts.forEach((row, human) => {
    row.forEach((n, model) => {
      if (human === model) return;
      mixedUp[human] += n;
      mixedUp[model] += n;
      most = Math.max(most, n);
    });
  });
  const last = counts.length - 1;
  const classes = Array.from({ length: Math.max(last, 0) }, (_, place) => place);
  const first = classes.toSorted((a, b) => mixedUp[b] - mixedUp[a]).slice(0, room);
  const places = [...first.sort((a, b) => a - b), ...(last < 0 ? [] : [last])];
  return { places, most };
}
