/** Numbers and times as people read them. */

const WHOLE = new Intl.NumberFormat();
const SHORT = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });

export const count = (value: number): string => WHOLE.format(value);
export const shortCount = (value: number): string => SHORT.format(value);

export function score(value: number | null | undefined): string {
  return value === null || value === undefined || Number.isNaN(value) ? "–" : value.toFixed(2);
}

export function percent(value: number): string {
  return `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %`;
}

export function when(seconds: number): string {
  if (!seconds || Number.isNaN(seconds)) return "–";
  const options = { dateStyle: "medium", timeStyle: "short" } as const;
  return new Date(seconds * 1000).toLocaleString(undefined, options);
}

/** Seconds as "3 min 20 s". */
export function duration(seconds: number): string {
  if (seconds <= 59) return `${Math.ceil(seconds)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds) % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}
