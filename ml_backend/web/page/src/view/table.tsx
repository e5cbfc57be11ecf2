/** A table with a head, scrolled where it is too wide or too long. */

import type { ComponentChildren } from "preact";

export function Table({ titles, children }: { titles: string[]; children: ComponentChildren }) {
  return (
    <div class="table-room">
      <table class="table">
        <TableHead titles={titles} />
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

export function TableHead({ titles }: { titles: readonly string[] }) {
  return (
    <thead>
      <tr>
        {titles.map((title) => (
          <th key={title} scope="col">
            {title}
          </th>
        ))}
      </tr>
    </thead>
  );
}
