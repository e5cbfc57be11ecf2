import { expect, test } from "vitest";
import { keyName } from "../src/core/keys";

test("a letter is the same with Shift or Caps Lock, and other keys are themselves", () => {
  expect(["F", "f", "?", "+", "Escape", " "].map((key) => keyName({ key }))).toEqual([
    ...["f", "f", "?", "+", "Escape", " "],
  ]);
});
