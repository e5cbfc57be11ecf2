import { describe, expect, test } from "vitest";
import { wordsOf, wordTitle } from "../src/core/fields";
import { chooseWords, NO_FILTERS, withWords } from "../src/core/filters";

describe("the legend's filters", () => {
  const of = (words: readonly string[]) => withWords(NO_FILTERS, "tags", words);

  test("a word alone, and all again", () => {
    const one = chooseWords(of(["a"]), "tags", ["b"], false);
    expect(one.words.tags).toEqual(["b"]);
    expect(chooseWords(one, "tags", ["b"], false)).toEqual(NO_FILTERS);
  });

  test("words besides, in and out", () => {
    const more = chooseWords(of(["a"]), "tags", ["b"], true);
    expect(more.words.tags).toEqual(["a", "b"]);
    expect(chooseWords(more, "tags", ["a"], true).words.tags).toEqual(["b"]);
  });

  test("two tags of one row are asked for as two", () => {
    const word = "a\nb";
    expect(wordTitle("tags", word)).toBe("a, b");
    expect(wordsOf("label", word)).toEqual([word]);
    const both = chooseWords(of(["a"]), "tags", wordsOf("tags", word), false);
    expect(both.words.tags).toEqual(["a", "b"]);
    expect(chooseWords(both, "tags", wordsOf("tags", word), false)).toEqual(NO_FILTERS);
    const more = chooseWords(of(["a", "c"]), "tags", wordsOf("tags", word), true);
    expect(more.words.tags).toEqual(["c", "a", "b"]);
    expect(chooseWords(more, "tags", wordsOf("tags", word), true).words.tags).toEqual(["c"]);
  });
});
