/** What stands where a task or its picture could not be read. */

import { tryAgain } from "../state/details";

export function Unread({ said }: { said: string }) {
  const again = (event: MouseEvent) => {
    // The tile under it is not what is clicked.
    event.stopPropagation();
    tryAgain();
  };
  return (
    <p class="no-picture">
      {said}{" "}
      <button type="button" class="link" onClick={again}>
        Try again
      </button>
    </p>
  );
}
