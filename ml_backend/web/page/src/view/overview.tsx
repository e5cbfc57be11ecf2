/** The project in numbers. */

import { useEffect, useState } from "preact/hooks";
import * as client from "../api/client";
import type { Overview as Numbers } from "../api/contract";
import { NO_FILTERS, withWords } from "../core/filters";
import { count, percent, plural } from "../core/format";
import { current, projectLoader } from "../state/loading";
import { control, currentData, openProject } from "../state/project";
import { projectId, showOnly } from "../state/route";
import { BurnDown, HistogramChart } from "./charts";
import { ClassTable } from "./class_table";
import { Confusion } from "./confusion";
import { ControlTag } from "./control_tag";
import { NumberField } from "./number_field";
import { Empty, Failed, Waiting } from "./states";
import { Unanalysed } from "./unanalysed";

interface At {
  control: string;
  iou: number;
  confidence: number;
}

/** Numbers, and what they were counted at. */
const numbers = projectLoader<{ found: Numbers; at: At }>();
const PAUSE_MS = 300;
/** The API's least is anything above 0. */
const LEAST_IOU = 0.05;

export function Overview() {
  const id = projectId.value as number;
  const name = control.value?.name ?? "";
  // Who comes back from a cell finds the numbers that led there.
  const before = current(numbers.value.peek())?.at;
  const [iou, setIou] = useState(before?.iou ?? 0.5);
  const [asked, setConfidence] = useState(before?.control === name ? before.confidence : null);
  const confidence = asked ?? control.value?.threshold ?? 0.5;
  const now = numbers.value.value;
  const there = current(now);
  const found = there?.at.control === name ? there : null;
  const fetchNumbers = () => {
    const at = { control: name, iou, confidence };
    void numbers.load(async () => ({
      found: await client.overview(id, name, iou, confidence),
      at,
    }));
  };
  useEffect(() => {
    // While somebody types, not each of the numbers on the way is counted.
    const timer = setTimeout(fetchNumbers, found ? PAUSE_MS : 0);
    return () => clearTimeout(timer);
  }, [id, name, iou, confidence, currentData.value]);
  const older = found && (found.at.iou !== iou || found.at.confidence !== confidence);
  return (
    <main class="page overview">
      <div class="overview-bar">
        <h2>{openProject.value?.title}</h2>
        <ControlTag />
        <span class="top-gap" />
        {found && (older || now.state === "loading") && <span role="status">Counting…</span>}
        {control.value?.geometry !== "choice" && (
          <NumberField
            {...{ title: "IoU at least", kind: "threshold", least: LEAST_IOU, most: 1 }}
            value={iou}
            change={setIou}
          />
        )}
        <NumberField
          {...{ title: "Confidence at least", kind: "threshold", least: 0, most: 1 }}
          value={confidence}
          change={setConfidence}
        />
      </div>
      {now.state === "failed" && now.status === 404 ? (
        <Unanalysed message={now.message} />
      ) : now.state === "failed" ? (
        <Failed title="No numbers could be read" message={now.message} retry={fetchNumbers} />
      ) : found ? (
        <div class={older ? "older" : ""} inert={older === true}>
          <Cards {...found} />
        </div>
      ) : (
        <Waiting title="Counting" />
      )}
    </main>
  );
}

function Cards({ found, at }: { found: Numbers; at: At }) {
  const { queue, error_share: share } = found;
  const reviewed = queue.corrected + queue.confirmed;
  return (
    <>
      <div class="tiles">
        <Figure
          title="Need review"
          value={count(queue.open)}
          said={`${plural(reviewed, "task")} looked at`}
          act={() => showFlag("needs-review")}
        />
        <Figure
          title="Corrected"
          value={count(queue.corrected)}
          said="the label was wrong"
          act={() => showFlag("corrected")}
        />
        <Figure
          title="Confirmed"
          value={count(queue.confirmed)}
          said="the label was right"
          act={() => showFlag("confirmed")}
        />
        <Figure
          title="Label errors, estimated"
          value={share ? percent(share.estimate) : "–"}
          said={
            share
              ? `${percent(share.low)} to ${percent(share.high)}, from ${plural(share.reviewed, "reviewed task")}`
              : "known once some tasks were reviewed"
          }
        />
      </div>
      <div class="cards">
        <Card title="Classes">
          {found.classes.length ? (
            <ClassTable classes={found.classes} />
          ) : (
            <Empty title="No class has been compared">Analyse the project first.</Empty>
          )}
        </Card>
        <Card title="Confusion matrix">
          <Confusion confusion={found.confusion} at={at} />
        </Card>
        <Card title="Queue and scores" wide>
          <div class="charts">
            <BurnDown points={found.burn_down} />
            {Object.entries(found.histograms).map(([name, histogram]) => (
              <HistogramChart key={name} title={HISTOGRAMS[name] ?? name} histogram={histogram} />
            ))}
          </div>
        </Card>
      </div>
    </>
  );
}

const HISTOGRAMS: Readonly<Record<string, string>> = {
  priority: "Priority",
  confidence: "Confidence of the model",
  outlier: "Outlier score",
};

function showFlag(flag: string): void {
  showOnly(withWords(NO_FILTERS, "flag", [flag]), "inputs");
}

interface FigureProps {
  title: string;
  value: string;
  said: string;
  act?: () => void;
}

function Figure({ title, value, said, act }: FigureProps) {
  const body = (
    <>
      <span class="figure-title">{title}</span>
      <span class="figure-value">{value}</span>
      <span class="figure-said">{said}</span>
    </>
  );
  if (!act) return <div class="figure">{body}</div>;
  return (
    <button type="button" class="figure" onClick={act}>
      {body}
    </button>
  );
}

interface CardProps {
  title: string;
  /** Over the whole width. */
  wide?: boolean;
  children: preact.ComponentChildren;
}

export function Card({ title, wide, children }: CardProps) {
  return (
    <section class={wide ? "card card-wide" : "card"}>
      <h3>{title}</h3>
      {children}
    </section>
  );
}
