import { expect, test } from "vitest";
import { batchPlaces } from "../src/core/batch_places";

test.each([
  ["", ["The relabel project of “Cats”", "A new project", "A tab of this project"]],
  ["new", ["A new project", "A tab of this project"]],
  ["here", ["A tab of this project", "A new project"]],
  ["12", ["Project 12", "A new project", "A tab of this project"]],
])("a batch goes first where the project says: %j", (usual, titles) => {
  const places = batchPlaces(usual, "Cats");
  expect(places.map(({ title }) => title)).toEqual(titles);
  expect(places[0].value).toBe("");
  expect(new Set(places.map(({ value }) => value)).size).toBe(places.length);
});
