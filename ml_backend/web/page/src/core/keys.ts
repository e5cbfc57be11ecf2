/** A key as the help prints it: a letter is the same one with Shift or Caps Lock. */
export function keyName({ key }: Pick<KeyboardEvent, "key">): string {
  return key.length === 1 ? key.toLowerCase() : key;
}
