/** One input or region as a picture or text, with people's and the model's regions over it. */

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { imageAddress } from "../api/client";
import type { Outline, TaskDetail } from "../api/contract";
import { type Box, boxOf, cropAround, isPair, pathOf } from "../core/outlines";
import { cutText, startFor } from "../core/spans";
import { controlName } from "../state/control";
import { attempts } from "../state/details";
import { showHuman, showModel } from "../state/focus";
import { projectId } from "../state/route";
import { Unread } from "./unread";

interface SampleProps {
  detail: TaskDetail;
  /** The region that is cut out, or begun shortly before; -1 shows the whole input. */
  region: number;
  /** Longer side of the picture that is asked for, pixels. */
  size: number;
}

export function Sample({ detail, region, size }: SampleProps) {
  if (detail.text !== null) return <TextSample detail={detail} region={region} />;
  return <ImageSample detail={detail} region={region} size={size} />;
}

function ImageSample({ detail, region, size }: SampleProps) {
  const { width, height } = detail;
  const whole: Box = [0, 0, width ?? 1, height ?? 1];
  const one = region >= 0 ? boxOf(detail.human[region]?.outline ?? null) : null;
  const seen = one && width && height ? cropAround(one, width, height) : whole;
  const crop = seen === whole ? undefined : [...seen];
  const [id, control] = [projectId.value as number, controlName.value as string];
  const source = imageAddress(id, detail.task, control, size, crop);
  return (
    <Picture key={source} source={source}>
      {width && height && <Overlay detail={detail} region={region} seen={seen} />}
    </Picture>
  );
}

const RETRY_MS = 2000;

/** A picture that fails is asked for once more by itself, and then whenever somebody tries again. */
function Picture({ source, children }: { source: string; children: ComponentChildren }) {
  const [stand, setStand] = useState<"first" | "waits" | "second" | "failed">("first");
  const attempt = attempts.value;
  useEffect(() => setStand("first"), [attempt]);
  useEffect(() => {
    if (stand !== "waits") return;
    const timer = setTimeout(() => setStand("second"), RETRY_MS);
    return () => clearTimeout(timer);
  }, [stand]);
  if (stand === "waits") return <span class="tile-waits" />;
  if (stand === "failed") return <Unread said="No picture: open the task to see why." />;
  const fail = () => setStand(stand === "first" ? "waits" : "failed");
  return (
    <>
      <img src={source} alt="" loading="lazy" decoding="async" onError={fail} />
      {children}
    </>
  );
}

interface OverlayProps {
  detail: TaskDetail;
  region: number;
  seen: Box;
}

function Overlay({ detail, region, seen }: OverlayProps) {
  const [x0, y0, x1, y1] = seen;
  const side = Math.max(x1 - x0, y1 - y0);
  const shape = (outline: Outline, kind: string) => {
    const path = pathOf(outline, side);
    return path && <path class={kind} d={path} />;
  };
  const view = `${x0} ${y0} ${x1 - x0} ${y1 - y0}`;
  return (
    <svg class="overlay" viewBox={view} preserveAspectRatio="xMidYMid meet" aria-hidden="true">
      {showModel.value && detail.model.map((one) => shape(one.outline, "model-outline"))}
      {showHuman.value &&
        detail.human.map((one, at) =>
          shape(one.outline, region < 0 || at === region ? "human-outline" : "other-outline"),
        )}
    </svg>
  );
}

function TextSample({ detail, region }: Omit<SampleProps, "size">) {
  const one = detail.human[region]?.outline ?? null;
  const span = isPair(one) ? one : null;
  const from = span ? startFor(span) : 0;
  const human = span ? [span] : detail.human.map(({ outline }) => outline).filter(isPair);
  const model = detail.model.map(({ outline }) => outline).filter(isPair);
  const pieces = cutText(
    detail.text ?? "",
    showHuman.value ? human : [],
    showModel.value ? model : [],
    from,
  );
  // One behind an address is not kept, and of a long one no more than the beginning.
  if (pieces.length === 0) return <p class="no-picture">No text is kept: open the task.</p>;
  return (
    <p class="text-sample">
      {from > 0 && "…"}
      {pieces.map(({ said, isHuman, isModel }) => {
        const kind = `${isHuman ? "human-span " : ""}${isModel ? "model-span" : ""}`;
        return kind ? <mark class={kind}>{said}</mark> : said;
      })}
    </p>
  );
}
