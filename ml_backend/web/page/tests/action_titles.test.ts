import { describe, expect, test } from "vitest";
import type { ActionState } from "../src/api/contract";
import { newestOf, newsOf, titleOf } from "../src/core/action_titles";

function action(change: Partial<ActionState>): ActionState {
  const base = { id: "a", action: "flag", state: "done", done: 5, total: 5, said: "" } as const;
  return { ...base, by: "", ended: 0, undoable: false, ...change };
}

describe("actions", () => {
  test("a title says how many were done, where that is known", () => {
    const said = "0 tasks changed; 5 left out: needs review already";
    expect(titleOf(action({ said }))).toBe("Flagged 0 tasks");
    expect(titleOf(action({ said: "1 task as before", state: "undone" }))).toBe(
      "Taken back: flagged 1 task",
    );
    expect(titleOf(action({}))).toBe("Flagged 5 tasks");
    expect(titleOf(action({ said: "Not taken back: no" }))).toBe("Flagged 5 tasks");
    expect(titleOf(action({ said: "3 tries", state: "doing" }))).toBe("Flagging 5 tasks");
  });

  test("an action that names no tasks says how many at its end", () => {
    const sync = { action: "sync", total: 0 } as const;
    expect(titleOf(action({ ...sync, state: "queued" }))).toBe("Bringing back answers to tasks");
    expect(titleOf(action({ ...sync, said: "3 answers brought back" }))).toBe(
      "Brought back answers to 3 tasks",
    );
  });

  test("all that is under way is shown, and the newest of what has ended", () => {
    const states = ["done", "doing", "failed", "undone", "done", "done", "queued", "undoing"];
    const all = states.map((state, n) =>
      action({ id: `${n}`, state: state as ActionState["state"] }),
    );
    expect(newestOf(all).map(({ id }) => id)).toEqual(["0", "1", "2", "3", "4", "6", "7"]);
  });

  test("beginnings, ends and failures are news, and progress is none", () => {
    const at = (state: ActionState["state"], done: number) => [action({ state, done })];
    expect(newsOf([], at("queued", 0))).toEqual(["Flagging 5 tasks"]);
    expect(newsOf(at("queued", 0), at("doing", 2))).toEqual([]);
    expect(newsOf(at("doing", 2), at("doing", 4))).toEqual([]);
    expect(newsOf(at("doing", 4), at("done", 5))).toEqual(["Flagged 5 tasks"]);
    expect(newsOf(at("done", 5), at("undoing", 0))).toEqual(["Taking back: flagged 5 tasks"]);
    const failed = [action({ state: "failed", said: "Sign in again." })];
    expect(newsOf(at("doing", 4), failed)).toEqual(["Flagging 5 tasks failed. Sign in again."]);
    expect(newsOf(failed, [])).toEqual([]);
  });
});
