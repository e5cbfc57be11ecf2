/** A table with a head, scrolled where it is too wide or too long. */

import type { ComponentChildren } from "preact";

export function Table({ titles, children }: { titles: string[]; children: ComponentChildren }) {
  return (
    <div class="table-room">
      <table class="table">
        <thead>
          <tr>
            {titles.map((title) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
