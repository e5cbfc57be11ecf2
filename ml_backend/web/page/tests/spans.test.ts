import { describe, expect, test } from "vitest";
import { cutText, startFor } from "../src/core/spans";

const TEXT = "😀 Ada met Alan in Bletchley Park, and Grace.";

describe("spans of a text", () => {
  test("each piece is covered by the same ones throughout", () => {
    const pieces = cutText(
      TEXT,
      [[2, 5]],
      [
        [2, 5],
        [10, 14],
      ],
    );
    expect(pieces.map(({ said }) => said).join("")).toBe(TEXT);
    const marked = pieces.filter(({ isHuman, isModel }) => isHuman || isModel);
    expect(marked).toEqual([
      { said: "Ada", isHuman: true, isModel: true },
      { said: "Alan", isHuman: false, isModel: true },
    ]);
  });

  test("one far down is seen from shortly before it", () => {
    const start = startFor([38, 43]);
    const pieces = cutText(TEXT, [[38, 43]], [[2, 5]], start);
    expect(pieces.map(({ said }) => said).join("")).toBe(" in Bletchley Park, and Grace.");
    expect(pieces.filter(({ isHuman }) => isHuman).map(({ said }) => said)).toEqual(["Grace"]);
    expect(startFor([3, 9])).toBe(0);
  });

  test("of what is not kept there is nothing", () => {
    expect(cutText("", [], [])).toEqual([]);
    expect(cutText("short", [[90, 95]], [], startFor([90, 95]))).toEqual([]);
  });
});
