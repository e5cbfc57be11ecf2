/** Texts and the spans in them, in characters. */

export type Span = readonly [number, number];

export interface Piece {
  said: string;
  isHuman: boolean;
  isModel: boolean;
}

/** What is seen of a text before the span that it is shown for. */
const LEAD = 24;

/** From where a text is shown, so that a span is seen in it. */
export const startFor = (span: Span): number => Math.max(span[0] - LEAD, 0);

/** A text from a place on, in pieces, each covered by the same spans throughout. */
export function cutText(
  text: string,
  human: readonly Span[],
  model: readonly Span[],
  from = 0,
): Piece[] {
  // Spans count characters, and one of them may be two of JavaScript's.
  const characters = [...text];
  const ends = new Set([from, characters.length, ...human.flat(), ...model.flat()]);
  const cuts = [...ends]
    .filter((cut) => from <= cut && cut <= characters.length)
    .sort((a, b) => a - b);
  const covers = (spans: readonly Span[], start: number) =>
    spans.some(([first, end]) => first <= start && start < end);
  return cuts.slice(0, -1).map((start, at) => ({
    said: characters.slice(start, cuts[at + 1]).join(""),
    isHuman: covers(human, start),
    isModel: covers(model, start),
  }));
}
