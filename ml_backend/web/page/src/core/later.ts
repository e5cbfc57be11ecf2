/** What is done at once after a rest, and else when things have come to rest: the last counts. */

export interface Later<T> {
  put(value: T): void;
  /** Do what waits now; false where nothing does. */
  flush(): boolean;
  /** Let what waits be. */
  drop(): void;
}

/** @param restMs what lies at least between two times, but for what is flushed; milliseconds. */
export function later<T>(act: (value: T) => void, restMs: number): Later<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let waits: { value: T } | null = null;
  const flush = () => {
    const now = waits;
    waits = null;
    if (now) act(now.value);
    return now !== null;
  };
  const rest = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      timer = undefined;
      if (flush()) rest();
    }, restMs);
  };
  return {
    put(value) {
      if (timer === undefined) act(value);
      else waits = { value };
      rest();
    },
    flush,
    drop() {
      waits = null;
    },
  };
}
