import { afterEach, describe, expect, test, vi } from "vitest";
import { dayOf, fromDay, toDay } from "../src/core/days";

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
});
