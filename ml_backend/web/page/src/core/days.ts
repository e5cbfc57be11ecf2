/** The days between which something changed: days of where one is, as times are shown. */

import type { Range } from "./filters";
import { filled } from "./points";

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

/** The last days, today among them. */
export function lastDays(days: number, now = new Date()): Range {
  const start = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1 - days);
  return [start.getTime() / 1000, FAR];
}

/** Which day each of many times is of. */
export interface DayIndex {
  /** When each day begins, from the first to the last of the times; seconds since 1970. */
  starts: Float64Array;
  /** Per time its day; the number of days for a time that is not known. */
  codes: Uint16Array;
}

/** A century: what is older counts to its first day. */
const MOST_DAYS = 36_525;
const DAY_S = 86_400;

export function indexDays(times: Float64Array): DayIndex {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const time of times) {
    if (time < low) low = time;
    if (time > high) high = time;
  }
  const starts = startsOf(Math.max(low, high - MOST_DAYS * DAY_S), high);
  const last = starts.length - 1;
  const codes = filled(new Uint16Array(times.length), (row) => {
    const time = times[row];
    if (Number.isNaN(time)) return starts.length;
    let day = Math.min(Math.max(Math.floor((time - starts[0]) / DAY_S), 0), last);
    // Clocks are changed: a day may begin an hour earlier or later than that.
    if (time < starts[day] && day > 0) day--;
    else if (day < last && time >= starts[day + 1]) day++;
    return day;
  });
  return { starts, codes };
}

/** When the days begin from that of one time to that of another; none where there are no times. */
function startsOf(low: number, high: number): Float64Array {
  const first = new Date(low * 1000);
  const midnight = (later: number) =>
    new Date(first.getFullYear(), first.getMonth(), first.getDate() + later).getTime() / 1000;
  const starts: number[] = [];
  while (midnight(starts.length) <= high) starts.push(midnight(starts.length));
  return Float64Array.from(starts);
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
