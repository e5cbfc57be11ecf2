/** Where a relabel batch can go. */

export interface BatchPlace {
  /** As an order names it; "" is what the project's settings say. */
  value: string;
  title: string;
}

const NEW: BatchPlace = { value: "new", title: "A new project" };
const HERE: BatchPlace = { value: "here", title: "A tab of this project" };

/**
 * List the places, the project's own first.
 *
 * @param usual the project's setting `batch_to`.
 * @param title what the project is called.
 */
export function batchPlaces(usual: string, title: string): BatchPlace[] {
  const others = [NEW, HERE];
  const same = others.find(({ value }) => value === usual);
  const named = usual === "" ? `The relabel project of “${title}”` : `Project ${usual}`;
  return [{ value: "", title: same?.title ?? named }, ...others.filter((one) => one !== same)];
}
