import { afterEach, describe, expect, test, vi } from "vitest";
import { dayOf, fromDay, indexDays, lastDays, toDay } from "../src/core/days";

const DAY_S = 86_400;
const at = (time: string) => Date.parse(time) / 1000;

describe("days", () => {
  afterEach(() => void vi.unstubAllEnvs());

  test.each([
    ["America/Los_Angeles", "2026-05-01T07:00:00Z"],
    ["Asia/Tokyo", "2026-04-30T15:00:00Z"],
    ["UTC", "2026-05-01T00:00:00Z"],
  ])("a day is one of where one is (%s)", (zone, midnight) => {
    vi.stubEnv("TZ", zone);
    const range = toDay(fromDay(null, "2026-05-01"), "2026-05-01");
    expect(range).toEqual([at(midnight), at(midnight) + DAY_S - 1]);
    expect(range?.map(dayOf)).toEqual(["2026-05-01", "2026-05-01"]);
  });

  test("a day on which clocks change has its own length", () => {
    vi.stubEnv("TZ", "Europe/Berlin");
    const range = toDay(fromDay(null, "2026-03-29"), "2026-03-29") ?? [0, 0];
    expect(range[1] - range[0]).toBe(23 * 3600 - 1);
  });

  test("an end that is cleared is open, and without any end nothing is asked", () => {
    const both = toDay(fromDay(null, "2026-05-01"), "2026-05-03");
    const end = fromDay(both, "");
    expect(end?.map(dayOf)).toEqual(["", "2026-05-03"]);
    expect(toDay(end, "")).toBeNull();
    const start = toDay(both, "");
    expect(start?.map(dayOf)).toEqual(["2026-05-01", ""]);
    expect(fromDay(start, "")).toBeNull();
  });

  test("a year that is being typed changes nothing", () => {
    const range = fromDay(null, "2026-05-01");
    for (const day of ["0002-05-01", "0020-05-01", "0202-05-01"]) {
      expect(fromDay(range, day)).toBe(range);
      expect(toDay(range, day)).toBe(range);
    }
  });

  test("the last days end with today", () => {
    const range = lastDays(7, new Date(2026, 4, 7, 23, 30));
    expect(range).toEqual(fromDay(null, "2026-05-01"));
  });

  test.each(["Europe/Berlin", "America/Sao_Paulo", "Asia/Tokyo", "UTC"])(
    "every time is of the day that a calendar has for it (%s)",
    (zone) => {
      vi.stubEnv("TZ", zone);
      // Over both changes of clocks, each half an hour.
      const times = Float64Array.from(
        { length: 400 * 48 },
        (_, step) => at("2018-01-01T00:00:00Z") + step * 1800,
      );
      const { starts, codes } = indexDays(times);
      for (const [row, time] of times.entries()) {
        expect(dayOf(starts[codes[row]])).toBe(dayOf(time));
      }
      expect(codes[0]).toBe(0);
      expect(codes.at(-1)).toBe(starts.length - 1);
    },
  );

  test("a time that is not known is of no day, one far back of the first", () => {
    const times = Float64Array.of(Number.NaN, -1e12, at("2026-05-01T12:00:00Z"));
    const { starts, codes } = indexDays(times);
    expect([...codes]).toEqual([starts.length, 0, starts.length - 1]);
    expect(indexDays(Float64Array.of(Number.NaN))).toEqual({
      starts: new Float64Array(),
      codes: new Uint16Array(1),
    });
  });
});
