/** Which of a project's control tags is looked at, where there are several. */

import { control, openProject } from "../state/project";
import { changeView, OTHER_ITEMS } from "../state/route";

export function ControlTag() {
  const controls = openProject.value?.controls ?? [];
  if (controls.length < 2) return null;
  return (
    <select
      class="input input-small"
      aria-label="Control tag"
      value={control.value?.name}
      onChange={(event) => changeView({ ...OTHER_ITEMS, control: event.currentTarget.value })}
    >
      {controls.map(({ name }) => (
        <option key={name}>{name}</option>
      ))}
    </select>
  );
}
