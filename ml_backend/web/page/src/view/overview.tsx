/** The project in numbers. */

import { useEffect, useState } from "preact/hooks";
import * as client from "../api/client";
import type { Overview as Numbers } from "../api/contract";
import { NO_FILTERS, withWords } from "../core/filters";
import { count, percent, plural } from "../core/format";
import { current, projectLoader } from "../state/loading";
import { control, currentData, openProject } from "../state/project";
import { changeView, projectId } from "../state/route";
import { BurnDown, HistogramChart } from "./charts";
import { ClassTable } from "./class_table";
import { Confusion } from "./confusion";
import { Empty, Failed, Waiting } from "./states";
import { Unanalysed } from "./unanalysed";

const numbers = projectLoader<Numbers>();

export function Overview() {
  const [iou, setIou] = useState(0.5);
  const [asked, setConfidence] = useState<number | null>(null);
  const id = projectId.value as number;
  const name = control.value?.name ?? "";
  const confidence = asked ?? control.value?.threshold ?? 0.5;
  const fetchNumbers = () => void numbers.load(() => client.overview(id, name, iou, confidence));
  useEffect(fetchNumbers, [id, name, iou, confidence, currentData.value]);
  const now = numbers.value.value;
  const found = current(now);
  return (
    <main class="page overview">
      <div class="overview-bar">
        <h2>{openProject.value?.title}</h2>
        <span class="top-gap" />
        {control.value?.geometry !== "choice" && (
          <Threshold title="IoU at least" value={iou} change={setIou} />
        )}
        <Threshold title="Confidence at least" value={confidence} change={setConfidence} />
      </div>
      {now.state === "failed" && now.status === 404 ? (
        <Unanalysed message={now.message} />
      ) : now.state === "failed" ? (
        <Failed title="No numbers could be read" message={now.message} retry={fetchNumbers} />
      ) : found ? (
        <Cards found={found} />
      ) : (
        <Waiting title="Counting" />
      )}
    </main>
  );
}

interface ThresholdProps {
  title: string;
  value: number;
  change: (value: number) => void;
}

function Threshold({ title, value, change }: ThresholdProps) {
  return (
    <label class="threshold">
      {title}
      <input
        class="input input-small"
        type="number"
        min={0.05}
        max={0.95}
        step={0.05}
        value={value}
        onChange={(event) => {
          const next = event.currentTarget.valueAsNumber;
          if (next > 0 && next < 1) change(next);
        }}
      />
    </label>
  );
}

function Cards({ found }: { found: Numbers }) {
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
          <Confusion confusion={found.confusion} />
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
  changeView({ room: "review", filters: withWords(NO_FILTERS, "flag", [flag]), area: [] });
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
