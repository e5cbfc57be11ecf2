/** The days between which something changed: days of where one is, as times are shown. */

import type { Range } from "./filters";

/** The year 9999: an end that is open, seconds since 1970. */
const FAR = 253_402_300_799;
/** Who types a year passes through the first centuries. */
const FIRST_DAY = "1970";

/** The day of an end of a range, as a date field has it; "" for an open one. */
export function dayOf(seconds: number): string {
  if (!(seconds > 0 && seconds < FAR)) return "";
  const date = new Date(seconds * 1000);
  const [month, day] = [date.getMonth() + 1, date.getDate()].map((n) => `${n}`.padStart(2, "0"));
  return `${date.getFullYear()}-${month}-${day}`;
}

/** Let a range begin with a day; "" opens that end. */
export function fromDay(range: Range | null, day: string): Range | null {
  return isTyped(day) ? range : asked(startOf(day, 0) ?? 0, range?.[1] ?? FAR);
}

/** Let a range end with a day; "" opens that end. */
export function toDay(range: Range | null, day: string): Range | null {
  const next = startOf(day, 1);
  return isTyped(day) ? range : asked(range?.[0] ?? 0, next === null ? FAR : next - 1);
}

function isTyped(day: string): boolean {
  return day !== "" && day < FIRST_DAY;
}

/** When a day begins, or one so many days later. */
function startOf(day: string, later: number): number | null {
  const date = new Date(`${day}T00:00:00`);
  // A day may have 23 hours, or 25.
  date.setDate(date.getDate() + later);
  return Number.isNaN(date.getTime()) ? null : date.getTime() / 1000;
}

function asked(low: number, high: number): Range | null {
  return low > 0 || high < FAR ? [low, high] : null;
}
