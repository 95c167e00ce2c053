// Axes: light grid lines with short labels.
import type { ScaleContinuousNumeric, ScaleTime } from "d3-scale";
import { dayOnAxis, onAxis, type Kind } from "../language";
import { px, svg, textWidth } from "./svg";

export interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

type Scale = ScaleContinuousNumeric<number, number>;

export function yAxis(scale: Scale, box: Box, kind: Kind, count: number): SVGGElement {
  const group = svg("g", { class: "axis" });
  for (const value of marks(scale, count)) {
    const y = px(scale(value));
    group.append(
      svg("line", { class: "gridline", x1: box.left, x2: box.right, y1: y, y2: y }),
      svg("text", { class: "tick", x: box.left - 6, y: y + 4, "text-anchor": "end" }, onAxis(value, kind)),
    );
  }
  return group;
}

export function xAxis(scale: Scale, box: Box, kind: Kind, count: number): SVGGElement {
  const group = svg("g", { class: "axis" });
  for (const value of marks(scale, count)) {
    const x = px(scale(value));
    group.append(
      svg("line", { class: "gridline", x1: x, x2: x, y1: box.top, y2: box.bottom }),
      svg("text", { class: "tick", x, y: box.bottom + 16, "text-anchor": "middle" }, onAxis(value, kind)),
    );
  }
  return group;
}

/** Ticks; a logarithmic scale marks its decades, and 2 and 5 where there are few. */
export function marks(scale: Scale, count: number): number[] {
  if (!("base" in scale)) return scale.ticks(count);
  const [low, high] = scale.domain() as [number, number];
  const found: number[] = [];
  const decades = Math.log10(high / low);
  const steps = decades > 3 ? [1] : decades > 1.5 ? [1, 3] : [1, 2, 5];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const step of steps) if (step * 10 ** power >= low * 0.999 && step * 10 ** power <= high * 1.001) found.push(step * 10 ** power);
  }
  return found;
}

const SHORT_D = 150;

/** Marks of days: those of the data themselves on a short axis, firsts of months on a long one. */
export function dayAxis(scale: ScaleTime<number, number>, box: Box, days: readonly Date[]): SVGGElement {
  const group = svg("g", { class: "axis" });
  const [from, to] = scale.domain() as [Date, Date];
  const room = Math.max(2, Math.min(9, Math.floor((box.right - box.left) / 72)));
  const fine = (to.getTime() - from.getTime()) / 864e5 < SHORT_D && days.length > 1;
  const every = Math.ceil(days.length / room);
  const ticks = fine ? days.filter((_, i) => i % every === 0) : scale.ticks(room);
  group.append(svg("line", { class: "base", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
  let end = -Infinity;
  ticks.forEach((day, i) => {
    const x = px(scale(day));
    const label = dayOnAxis(day, i === 0, fine);
    const half = textWidth(label, 11.5) / 2;
    const left = Math.max(0, Math.min(x - half, box.right + 10 - 2 * half));
    if (left < end + 6) return;
    end = left + 2 * half;
    group.append(
      svg("line", { class: "notch", x1: x, x2: x, y1: box.bottom, y2: box.bottom + 4 }),
      svg("text", { class: "tick", x: px(left), y: box.bottom + 17 }, label),
    );
  });
  return group;
}
