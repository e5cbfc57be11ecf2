import { describe, expect, test } from "vitest";
import { FIRST_VIEW, readView, type View, writeView } from "../src/core/address";
import { NO_FILTERS } from "../src/core/filters";

const FULL: View = {
  room: "overview",
  control: "boxes & more",
  part: "regions",
  layout: "grid",
  color: "outlier",
  sort: { key: "updated", descending: false },
  filters: {
    words: { label: ["cat", "", "a+b=c"], tags: ["seen twice"] },
    amounts: { confidence: [0.75, 1], iou: [0, 0.5] },
    updated: [1_700_000_000, 1_700_086_399],
    falsePositives: 1,
    falseNegatives: 2,
    search: "night & fog",
    amid: true,
  },
  area: [
    { how: "add", ring: [-0.5, -0.5, 0.25, -0.5, 0.1234, 0.5] },
    { how: "subtract", ring: [0, 0, 0.1, 0, 0.1, 0.1, 0, 0.1] },
  ],
  plane: "5f0c",
  picked: [
    [12, -1],
    [13, 4],
  ],
  excludeFlagged: true,
  similar: [7, 0],
  cell: { human: null, model: "background", iou: 0.5, confidence: 0.35 },
};

describe("address", () => {
  test("a view survives its address", () => {
    expect(readView(writeView(FULL))).toEqual(FULL);
  });

  test("the usual view needs no address", () => {
    expect(writeView(FIRST_VIEW)).toBe("");
    expect(readView("")).toEqual(FIRST_VIEW);
  });

  test("what cannot be read is left out", () => {
    const said = "?room=cellar&sort=-luck&confidence=high_low&area=zz9*a1_2&picked=x_3.y&fp=-1";
    expect(readView(said)).toEqual({ ...FIRST_VIEW, filters: NO_FILTERS });
  });

  test("a cell's class may have any name, or none", () => {
    const cell = { human: "", model: null, iou: 1, confidence: 0 };
    expect(readView(writeView({ ...FIRST_VIEW, cell })).cell).toEqual(cell);
    for (const at of ["0_0.5", "0.5_2", "0.5", "a_b"]) {
      expect(readView(`cell=${at}&human=cat`).cell).toBeNull();
    }
  });

  test("areas and picked items need no escapes", () => {
    const query = writeView({ ...FIRST_VIEW, area: FULL.area, picked: FULL.picked });
    expect(query).not.toContain("%");
  });

  test("a plane is named for an area's sake alone", () => {
    expect(writeView({ ...FIRST_VIEW, plane: "5f0c" })).toBe("");
  });
});
