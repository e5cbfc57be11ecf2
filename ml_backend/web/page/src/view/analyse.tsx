/** Begin a run over the whole project, and why that was refused. */

import { changeView } from "../state/route";
import { refused, startRun } from "../state/runs";
import { Icon } from "./icons";

interface AnalyseProps {
  /** Whether it is the one thing to do. */
  strong?: boolean;
  title?: string;
}

export function Analyse({ strong = false, title = "" }: AnalyseProps) {
  const start = async () => {
    if (await startRun()) changeView({ room: "activity" });
  };
  return (
    <>
      <button
        type="button"
        class={strong ? "button button-strong" : "button"}
        title={title}
        onClick={() => void start()}
      >
        <Icon name="run" /> Analyse the project
      </button>
      {refused.value && (
        <p class="error" role="alert">
          {refused.value}
        </p>
      )}
    </>
  );
}
