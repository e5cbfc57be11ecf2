/** The tools over the map: what the pointer does, what becomes of an area, and the camera. */

import type { How } from "../core/selection";
import type { Plot, Tool } from "../scatter/plot";
import { areaHow, showAmid } from "../state/focus";
import { view } from "../state/route";
import { Icon, type IconName } from "./icons";

const TOOLS: readonly { tool: Tool; icon: IconName; title: string }[] = [
  { tool: "pan", icon: "pan", title: "Move (hold Shift to draw an area)" },
  { tool: "lasso", icon: "lasso", title: "Lasso: draw around points" },
  { tool: "box", icon: "box", title: "Box: draw from corner to corner" },
];

const HOWS: readonly { how: How; icon: IconName; title: string }[] = [
  { how: "replace", icon: "areaNew", title: "A new area each time" },
  { how: "add", icon: "areaAdd", title: "Add to the area (Shift)" },
  { how: "subtract", icon: "areaLess", title: "Take away from the area (Alt)" },
];

interface MapToolsProps {
  /** Asked for when a tool is used: it is there by then. */
  plot: () => Plot | null;
  tool: Tool;
  choose: (tool: Tool) => void;
  takeSight: () => void;
}

export function MapTools({ plot, tool, choose, takeSight }: MapToolsProps) {
  const noArea = view.value.area.length === 0;
  return (
    <div class="map-tools" role="toolbar" aria-label="Map tools">
      {TOOLS.map((one) => (
        <ToolButton
          key={one.tool}
          {...one}
          pressed={tool === one.tool}
          act={() => choose(one.tool)}
        />
      ))}
      <span class="tool-gap" />
      {HOWS.map(({ how, icon, title }) => (
        <ToolButton
          key={how}
          icon={icon}
          title={title}
          pressed={areaHow.value === how}
          off={how === "subtract" && noArea}
          act={() => {
            areaHow.value = how;
          }}
        />
      ))}
      <ToolButton icon="sight" title="Take what is in sight as the area (V)" act={takeSight} />
      <span class="tool-gap" />
      <ToolButton icon="plus" title="Zoom in" act={() => plot()?.zoom(1.6)} />
      <ToolButton icon="minus" title="Zoom out" act={() => plot()?.zoom(1 / 1.6)} />
      <ToolButton icon="whole" title="See everything" act={() => plot()?.reset()} />
      <span class="tool-gap" />
      <ToolButton
        icon="odd"
        title="Make points of one class amid another's cluster stand out"
        pressed={showAmid.value}
        act={() => {
          showAmid.value = !showAmid.value;
        }}
      />
    </div>
  );
}

interface ToolButtonProps {
  icon: IconName;
  title: string;
  /** Of a button that stays down. */
  pressed?: boolean;
  off?: boolean;
  act: () => void;
}

function ToolButton({ icon, title, pressed, off, act }: ToolButtonProps) {
  return (
    <button
      type="button"
      class="tool"
      title={title}
      aria-label={title}
      aria-pressed={pressed}
      disabled={off}
      onClick={act}
    >
      <Icon name={icon} />
    </button>
  );
}
