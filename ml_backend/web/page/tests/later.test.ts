import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { later } from "../src/core/later";

describe("later", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("the first is done at once, of many that follow the last", () => {
    const done: number[] = [];
    const made = later((value: number) => done.push(value), 350);
    for (let n = 0; n < 100; n++) {
      made.put(n);
      vi.advanceTimersByTime(20);
    }
    expect(done).toEqual([0]);
    vi.advanceTimersByTime(350);
    expect(done).toEqual([0, 99]);
    vi.advanceTimersByTime(350);
    made.put(100);
    expect(done).toEqual([0, 99, 100]);
  });

  test("however they come, two times lie apart", () => {
    const times: number[] = [];
    const made = later(() => times.push(Date.now()), 350);
    for (let n = 0; n < 400; n++) {
      made.put(n);
      vi.advanceTimersByTime((n * 97) % 720);
    }
    const apart = times.slice(1).map((time, i) => time - times[i]);
    expect(apart.length).toBeGreaterThan(50);
    expect(Math.min(...apart)).toBeGreaterThanOrEqual(350);
  });

  test("what waits is done before something else, or let be", () => {
    const done: string[] = [];
    const made = later((value: string) => done.push(value), 350);
    made.put("a");
    made.put("b");
    expect(made.flush()).toBe(true);
    expect(made.flush()).toBe(false);
    made.put("c");
    made.drop();
    vi.advanceTimersByTime(1000);
    expect(done).toEqual(["a", "b"]);
  });
});
