/** Where points are: the nearest one to a place, and those within a ring, without looking at all. */

/** x, y, x, y, … in the plane of the points. */
export type Ring = readonly number[];

const MOST_SIDE = 512;
const PER_CELL = 8;

export class Space {
  private readonly side: number;
  private readonly start: Uint32Array;
  private readonly sorted: Uint32Array;

  /** @param x, y in [-1, 1]; rows where they are NaN are nowhere. */
  constructor(
    readonly x: Float32Array,
    readonly y: Float32Array,
  ) {
    this.side = Math.min(Math.max(Math.ceil(Math.sqrt(x.length / PER_CELL)), 1), MOST_SIDE);
    const cells = this.side * this.side;
    const start = new Uint32Array(cells + 1);
    for (let row = 0; row < x.length; row++) {
      if (!Number.isNaN(x[row])) start[this.cellOf(row) + 1]++;
    }
    for (let cell = 0; cell < cells; cell++) start[cell + 1] += start[cell];
    const next = start.slice();
    this.sorted = new Uint32Array(start[cells]);
    for (let row = 0; row < x.length; row++) {
      if (!Number.isNaN(x[row])) this.sorted[next[this.cellOf(row)]++] = row;
    }
    this.start = start;
  }

  /** Number of rows that have a place. */
  get placed(): number {
    return this.sorted.length;
  }

  /** Cells per side of the grid; a cell is a square of the plane. */
  get cells(): number {
    return this.side;
  }

  /** The rows of one cell. */
  rowsIn(column: number, row: number): Uint32Array {
    const cell = row * this.side + column;
    return this.sorted.subarray(this.start[cell], this.start[cell + 1]);
  }

  /** The nearest row to a place that passes a test, -1 where there is none within the radius. */
  nearest(x: number, y: number, radius: number, passes: (row: number) => boolean): number {
    let best = -1;
    let least = radius * radius;
    this.eachCell(x - radius, y - radius, x + radius, y + radius, (rows) => {
      for (const row of rows) {
        const dx = this.x[row] - x;
        const dy = this.y[row] - y;
        const distance = dx * dx + dy * dy;
        if (distance <= least && passes(row)) {
          best = row;
          least = distance;
        }
      }
    });
    return best;
  }

  /** The rows within a closed ring, by the even-odd rule. */
  within(ring: Ring): Uint32Array {
    if (ring.length < 6) return new Uint32Array(0);
    const found = new Uint32Array(this.sorted.length);
    let n = 0;
    const [low, high] = bounds(ring);
    const crossed = this.cellsOnEdge(ring);
    this.eachCell(low[0], low[1], high[0], high[1], (rows, column, line) => {
      if (rows.length === 0) return;
      if (crossed[line * this.side + column]) {
        for (const row of rows) if (isWithin(ring, this.x[row], this.y[row])) found[n++] = row;
      } else if (isWithin(ring, this.x[rows[0]], this.y[rows[0]])) {
        // No edge passes through the cell: all of it is on one side.
        found.set(rows, n);
        n += rows.length;
      }
    });
    return found.subarray(0, n);
  }

  /** 1 for each cell that an edge of the ring may pass through. */
  private cellsOnEdge(ring: Ring): Uint8Array {
    const crossed = new Uint8Array(this.side * this.side);
    const size = 2 / this.side;
    for (let i = 0; i < ring.length; i += 2) {
      const j = (i + 2) % ring.length;
      const [dx, dy] = [ring[j] - ring[i], ring[j + 1] - ring[i + 1]];
      // Steps of a cell's size: between two of them an edge leaves its cell only for its neighbours.
      const steps = Math.max(1, Math.ceil(Math.hypot(dx, dy) / size));
      for (let step = 0; step <= steps; step++) {
        const column = this.place(ring[i] + (dx * step) / steps);
        const line = this.place(ring[i + 1] + (dy * step) / steps);
        for (let b = Math.max(line - 1, 0); b <= Math.min(line + 1, this.side - 1); b++) {
          const first = Math.max(column - 1, 0);
          const last = Math.min(column + 1, this.side - 1);
          crossed.fill(1, b * this.side + first, b * this.side + last + 1);
        }
      }
    }
    return crossed;
  }

  private eachCell(
    x0: number,
    y0: number,
    x1: number,
    y1: number,
    visit: (rows: Uint32Array, column: number, line: number) => void,
  ): void {
    for (let line = this.place(y0); line <= this.place(y1); line++) {
      for (let column = this.place(x0); column <= this.place(x1); column++) {
        visit(this.rowsIn(column, line), column, line);
      }
    }
  }

  private cellOf(row: number): number {
    return this.place(this.y[row]) * this.side + this.place(this.x[row]);
  }

  private place(value: number): number {
    const cell = Math.floor(((value + 1) / 2) * this.side);
    return Math.min(Math.max(cell, 0), this.side - 1);
  }
}

function bounds(ring: Ring): [[number, number], [number, number]] {
  const low: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  const high: [number, number] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < ring.length; i++) {
    low[i % 2] = Math.min(low[i % 2], ring[i]);
    high[i % 2] = Math.max(high[i % 2], ring[i]);
  }
  return [low, high];
}

export function isWithin(ring: Ring, x: number, y: number): boolean {
  let inside = false;
  for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) {
    const [xi, yi, xj, yj] = [ring[i], ring[i + 1], ring[j], ring[j + 1]];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}
