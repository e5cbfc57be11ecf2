/** Actions in a person's words, and which of them are shown. */

import type { ActionName, ActionState } from "../api/contract";
import { plural } from "./format";

const DOING: Readonly<Record<ActionName, string>> = {
  flag: "Flagging",
  clear: "Clearing the flag of",
  tag: "Tagging",
  untag: "Untagging",
  batch: "Sending",
  approve: "Approving",
  sync: "Bringing back answers to",
  withdraw: "Withdrawing",
  "take-back": "Taking back the approval of",
};
const DONE: Readonly<Record<ActionName, string>> = {
  flag: "Flagged",
  clear: "Cleared the flag of",
  tag: "Tagged",
  untag: "Untagged",
  batch: "Sent",
  approve: "Approved",
  sync: "Brought back answers to",
  withdraw: "Withdrew",
  "take-back": "Took back the approval of",
};
const MOST_ENDED = 4;

export const hasEnded = ({ state }: ActionState): boolean =>
  state === "done" || state === "failed" || state === "undone";

export function titleOf({ action, state, total, said }: ActionState): string {
  // What is said of the end begins with how many it was: some may have been left out.
  const counted = state === "done" || state === "undone" ? Number.parseInt(said, 10) : Number.NaN;
  // Of an action that names no tasks it is known at its end.
  const known = Number.isNaN(counted) ? total || null : counted;
  const several = known === null ? "tasks" : plural(known, "task");
  if (state === "done") return `${DONE[action]} ${several}`;
  if (state === "undoing") return `Taking back: ${DONE[action].toLowerCase()} ${several}`;
  if (state === "undone") return `Taken back: ${DONE[action].toLowerCase()} ${several}`;
  return `${DOING[action]} ${several}${state === "failed" ? " failed" : ""}`;
}

/** How far it is does not count. */
function phaseOf(action: ActionState): string {
  return hasEnded(action) || action.state === "undoing" ? action.state : "doing";
}

/** What is new of actions since they were looked at before: those that began, ended or failed. */
export function newsOf(before: readonly ActionState[], now: readonly ActionState[]): string[] {
  const known = new Map(before.map((action) => [action.id, phaseOf(action)]));
  return now
    .filter((action) => known.get(action.id) !== phaseOf(action))
    .map((action) => (action.said ? `${titleOf(action)}. ${action.said}` : titleOf(action)));
}

/** Of actions, the newest first, all that are under way and the newest that have ended. */
export function newestOf(actions: readonly ActionState[]): ActionState[] {
  let ended = 0;
  return actions.filter((action) => !hasEnded(action) || ++ended <= MOST_ENDED);
}
