import { expect, test } from "vitest";
import { imageAddress } from "../src/api/client";

test("the image of a tag is asked for by its name: a task may have several", () => {
  const base = "/api/projects/3/tasks/7/image";
  expect(imageAddress(3, 7, "side", 256)).toBe(`${base}?control=side&size=256`);
  expect(imageAddress(3, 7, "top & side", 384, [0.4, 1.6, 9, 12])).toBe(
    `${base}?control=top+%26+side&size=384&crop=0%2C2%2C9%2C12`,
  );
});
