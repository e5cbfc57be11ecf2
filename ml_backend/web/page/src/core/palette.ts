/**
 * Colours that people with colour blindness can tell apart.
 *
 * Few classes: M. Okabe and K. Ito, "Color Universal Design" (2008), without its black. More: the
 * same hues in a lighter and a darker shade. Amounts: viridis of S. van der Walt and N. Smith (2015),
 * at ten even steps.
 */

/** Red, green, blue in [0, 255]. */
export type Rgb = readonly [number, number, number];

const OKABE_ITO: readonly Rgb[] = [
  [0, 114, 178],
  [230, 159, 0],
  [0, 158, 115],
  [213, 94, 0],
  [86, 180, 233],
  [204, 121, 167],
  [240, 228, 66],
];

const VIRIDIS: readonly Rgb[] = [
  [68, 1, 84],
  [72, 40, 120],
  [62, 73, 137],
  [49, 104, 142],
  [38, 130, 142],
  [31, 158, 137],
  [53, 183, 121],
  [110, 206, 88],
  [181, 222, 43],
  [253, 231, 37],
];

/** What has no value, or is one of too many classes. */
export const UNKNOWN: Rgb = [140, 145, 155];

/** Steps into which amounts are divided. */
export const STEPS = 64;

const LIGHTER = 0.5;
const DARKER = 0.4;
/** Beyond these, classes share the colour of what is unknown. */
export const MOST_CLASSES = OKABE_ITO.length * 3;

function mix(from: Rgb, to: Rgb, share: number): Rgb {
  const at = (i: number) => Math.round(from[i] + (to[i] - from[i]) * share);
  return [at(0), at(1), at(2)];
}

/** The colour of the class that is the rank-th most frequent, on a light or a dark ground. */
export function classColor(rank: number, onDark: boolean): Rgb {
  if (rank >= MOST_CLASSES) return UNKNOWN;
  const hue = OKABE_ITO[rank % OKABE_ITO.length];
  const round = Math.floor(rank / OKABE_ITO.length);
  if (round === 0) return hue;
  // What differs most from the ground comes first.
  const lighter = (round === 1) === onDark;
  return lighter ? mix(hue, [255, 255, 255], LIGHTER) : mix(hue, [0, 0, 0], DARKER);
}

/** The colour of an amount in [0, 1]; what is unknown is grey. */
export function amountColor(value: number): Rgb {
  if (Number.isNaN(value)) return UNKNOWN;
  const place = Math.min(Math.max(value, 0), 1) * (VIRIDIS.length - 1);
  const step = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return mix(VIRIDIS[step], VIRIDIS[step + 1], place - step);
}

export function css([red, green, blue]: Rgb): string {
  return `rgb(${red} ${green} ${blue})`;
}
