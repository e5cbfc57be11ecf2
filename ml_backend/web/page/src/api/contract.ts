/** What the server answers, as the OpenAPI description at /api/openapi.json says it. */

export type Geometry = "box" | "polygon" | "mask" | "point" | "span" | "choice";
export type Part = "inputs" | "regions";

export interface User {
  id: number;
  name: string;
  email: string;
}

export interface Session {
  user: User;
  label_studio: string;
}

export interface ProjectSummary {
  id: number;
  title: string;
  tasks: number;
  url: string;
}

export interface Control {
  name: string;
  geometry: Geometry;
  labels: string[];
  parts: Part[];
  scored: boolean;
  /** The confidence from which a prediction counts as one. */
  threshold: number;
}

export interface Project extends ProjectSummary {
  controls: Control[];
  threshold: number;
  /** From which confidence the model is sure enough to approve. */
  approve_confidence: number;
  /** Where relabel batches go: "" for the relabel project, "new", "here", or a project's id. */
  batch_to: string;
  /** Whether the caller may act, or only look. */
  may_change: boolean;
}

/** Rings of a box, polygon or mask; [x, y] of a point; [start, end] of a span; null of a choice. */
export type Outline = [number, number][][] | [number, number] | null;

export interface HumanRegion {
  annotation: number;
  annotator: string;
  label: string;
  outline: Outline;
}

export interface ModelRegion {
  label: string;
  score: number;
  outline: Outline;
}

export interface TaskDetail {
  task: number;
  url: string;
  width: number | null;
  height: number | null;
  /** What the control tag labels, null for an image; "" where it is not kept. */
  text: string | null;
  reason: string;
  kind: string;
  priority: number | null;
  flag: string;
  tags: string[];
  human: HumanRegion[];
  model: ModelRegion[];
}

export interface Neighbor {
  task: number;
  region: number;
  distance: number;
}

export interface ClassScore {
  label: string;
  precision: number | null;
  recall: number | null;
  f1: number | null;
  ap: number | null;
  support: number;
}

export interface Histogram {
  edges: number[];
  counts: number[];
}

export interface Overview {
  classes: ClassScore[];
  confusion: { labels: string[]; counts: number[][] };
  histograms: Record<string, Histogram>;
  error_share: { estimate: number; low: number; high: number; reviewed: number } | null;
  burn_down: { time: number; open: number; resolved: number }[];
  queue: { open: number; corrected: number; confirmed: number };
}

/** What a cell of the confusion matrix counts, entry by entry; region -1 is the whole input. */
export interface CellItems {
  part: Part;
  tasks: number[];
  regions: number[];
}

export interface Run {
  id: string;
  project: number;
  /** What of the project was chosen, "" for all of it. */
  over: string;
  state: string;
  stage: string;
  attempt: number;
  done: number;
  total: number;
  flagged: number;
  rate: number;
  left: number | null;
  started: number;
  ended: number;
  errors: Record<string, string>;
  log: string[];
}

export interface Batch {
  id: string;
  /** Its tasks in Label Studio. */
  url: string;
  sent: number;
  open: number;
  skipped: number;
  /** Answered, and on the way back. */
  ready: number;
  done: number;
  corrected: number;
  confirmed: number;
  /** Sent again since, never written back. */
  superseded: number;
  /** Deleted since. */
  gone: number;
  conflicts: number;
  /** How to mend each conflict, and what else keeps an answer from going back. */
  said: Record<string, string>;
}

/** The estimated share of annotations with an error, with its 95 % interval; null: unknown. */
export interface Share {
  share: number | null;
  low: number;
  high: number;
}

/** One label given where another is right; "" stands for nothing. */
export interface Confusion {
  control: string;
  given: string;
  better: string;
  confirmed: number;
  suspected: number;
  tasks: number[];
}

export interface AnnotatorRow {
  id: number;
  name: string;
  tasks: number;
  findings: number;
  confirmed: number;
  kept: number;
  open: number;
  share: Share;
  confusions: Confusion[];
}

export interface AnnotatorPair {
  first: string;
  second: string;
  tasks: number;
  agreement: number;
  kappa: number | null;
}

export interface AnnotatorReport {
  annotators: AnnotatorRow[];
  agreement: { control: string; alpha: number | null; pairs: AnnotatorPair[] }[];
}

export type ActionName =
  | "flag"
  | "clear"
  | "tag"
  | "untag"
  | "batch"
  | "approve"
  | "sync"
  | "withdraw"
  | "take-back";

/** When the labels of a task were written last, seconds since 1970, and how many regions it has. */
export type Shown = readonly [task: number, updated: number, regions: number];

export interface ActionRequest {
  action: ActionName;
  tasks?: number[];
  regions?: readonly (readonly [task: number, region: number])[];
  /** As what the tasks of regions were seen: once they have changed, places mean other regions. */
  shown?: readonly Shown[];
  options: ActionOptions;
}

export interface ActionOptions {
  tag?: string;
  to?: string;
  confidence?: number;
  /** Which batch is withdrawn. */
  batch?: string;
  /** Whose regions are meant. */
  control?: string;
  dry_run?: boolean;
}

export interface DryRun {
  count: number;
  examples: number[];
  left_out: Record<string, number>;
  /** What else is to be known before it is done. */
  notes: string[];
}

export interface ActionState {
  id: string;
  action: ActionName;
  state: "queued" | "doing" | "done" | "failed" | "undoing" | "undone";
  done: number;
  total: number;
  said: string;
  /** Who asked for it. */
  by: string;
  /** Seconds since 1970, 0 while it goes on. */
  ended: number;
  undoable: boolean;
}

export type Views = Record<string, string>;
