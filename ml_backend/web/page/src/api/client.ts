/** The HTTP interface. Every failure is an ApiError whose message a person can act on. */

import type { Cell } from "../core/address";
import type {
  ActionRequest,
  ActionState,
  AnnotatorReport,
  Batch,
  CellItems,
  DryRun,
  Neighbor,
  Overview,
  Part,
  Project,
  ProjectSummary,
  Run,
  Session,
  TaskDetail,
  User,
  Views,
} from "./contract";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Whether it failed for want of a server: what is refused or gone stays so. */
export function isOutage(error: unknown): boolean {
  const status = error instanceof ApiError ? error.status : 0;
  return status === 0 || status >= 500;
}

type Query = Record<string, string | number | undefined>;

function address(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined) params.set(key, String(value));
  }
  const text = params.toString();
  return text ? `/api/${path}?${text}` : `/api/${path}`;
}

async function refusal(response: Response): Promise<ApiError> {
  let detail = "";
  try {
    const body = (await response.json()) as { detail?: unknown };
    if (typeof body.detail === "string") detail = body.detail;
  } catch {
    // A proxy's error page is no JSON; the status has to do.
  }
  return new ApiError(response.status, detail || `Relook answered ${response.status}. Try again.`);
}

async function ask(method: string, url: string, body?: unknown): Promise<Response> {
  const init: RequestInit = { method, credentials: "same-origin" };
  // Another site's form cannot send this header, so it cannot act in the user's name.
  if (method !== "GET") init.headers = { "X-Relook": "1", "Content-Type": "application/json" };
  if (body !== undefined) init.body = JSON.stringify(body);
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch {
    throw new ApiError(0, "Relook does not answer. Check that it runs and is reachable.");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function get<T>(path: string, query?: Query): Promise<T> {
  return (await ask("GET", address(path, query))).json() as Promise<T>;
}

/** What takes long to count, and when it was counted, in seconds since 1970. */
export interface Counted<T> {
  found: T;
  at: number;
}

/** @param lately whether an earlier count will do. */
async function counted<T>(path: string, lately: boolean): Promise<Counted<T>> {
  const response = await ask("GET", address(path, { lately: lately ? "true" : undefined }));
  const age = Number(response.headers.get("Age") ?? 0);
  return { found: (await response.json()) as T, at: Date.now() / 1000 - age };
}

async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await ask(method, address(path), body);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export const signIn = (token: string) => send<{ user: User }>("POST", "session", { token });
export const signOut = () => send<unknown>("DELETE", "session");
export const session = () => get<Session>("session");
export const projects = () => get<ProjectSummary[]>("projects");
export const project = (id: number) => get<Project>(`projects/${id}`);

export async function points(id: number, control: string, part: Part): Promise<ArrayBuffer> {
  const response = await ask("GET", address(`projects/${id}/points`, { control, part }));
  return response.arrayBuffer();
}

export const search = (id: number, q: string) =>
  get<{ tasks: number[]; more: boolean }>(`projects/${id}/search`, { q });

export const tasks = (id: number, ids: readonly number[], control: string) =>
  get<TaskDetail[]>(`projects/${id}/tasks`, { ids: ids.join(","), control });

/** @param control the tag whose image is meant: a task may have several. */
export function imageAddress(
  id: number,
  task: number,
  control: string,
  size: number,
  crop?: number[],
): string {
  const query: Query = { control, size, crop: crop?.map((edge) => Math.round(edge)).join(",") };
  return address(`projects/${id}/tasks/${task}/image`, query);
}

export const similar = (id: number, control: string, task: number, region: number, k: number) =>
  get<Neighbor[]>(`projects/${id}/similar`, { control, task, region, k });

export const overview = (id: number, control: string, iou: number, confidence: number) =>
  get<Overview>(`projects/${id}/overview`, { control, iou, confidence });

export const cell = (id: number, control: string, { human, model, iou, confidence }: Cell) =>
  get<CellItems>(`projects/${id}/cell`, {
    ...{ control, human: human ?? undefined, model: model ?? undefined, iou, confidence },
  });

export async function runs(id: number): Promise<Run[]> {
  return (await get<{ runs: Run[] }>(`projects/${id}/runs`)).runs;
}

export const startRun = (id: number) => send<Run>("POST", `projects/${id}/runs`, {});
export const changeRun = (run: string, how: "cancel" | "retry") =>
  send<Run>("POST", `runs/${run}/${how}`, {});

export const batches = (id: number, lately: boolean) =>
  counted<Batch[]>(`projects/${id}/batches`, lately);
export const annotators = (id: number, lately: boolean) =>
  counted<AnnotatorReport>(`projects/${id}/annotators`, lately);
export const annotatorsFile = (id: number) => `/api/projects/${id}/annotators.csv?lately=true`;
export const eventsAddress = (id: number) => `/api/projects/${id}/events`;

export const act = (id: number, request: ActionRequest) =>
  send<{ id: string }>("POST", `projects/${id}/actions`, request);
export const tryAction = (id: number, request: ActionRequest) =>
  send<DryRun>("POST", `projects/${id}/actions`, {
    ...request,
    options: { ...request.options, dry_run: true },
  });
export const actions = (id: number) => get<ActionState[]>(`projects/${id}/actions`);
export const undo = (action: string) => send<unknown>("POST", `actions/${action}/undo`, {});

export const views = (id: number) => get<Views>(`projects/${id}/views`);
const viewPath = (id: number, name: string) => `projects/${id}/views/${encodeURIComponent(name)}`;
/** @param replace whether it may take the place of another of that name; else that is a 409. */
export const saveView = (id: number, name: string, query: string, replace: boolean) =>
  send<unknown>("PUT", `${viewPath(id, name)}?replace=${replace}`, { query });
export const deleteView = (id: number, name: string) => send<unknown>("DELETE", viewPath(id, name));
