// Values by day: what was observed, forecasts with their intervals, and the level they are held against.
import { extent } from "d3-array";
import { scaleLinear, scaleLog, scaleUtc } from "d3-scale";
import { area, curveLinear, line } from "d3-shape";
import { dayAxis, yAxis } from "../chart/axes";
import type { Series, SeriesChart, Value } from "../chart/data";
import type { Chart, Stage } from "../chart/frame";
import { canvas, px, svg, textWidth } from "../chart/svg";
import { dayWords, onAxis, word, written, type Kind } from "../language";

interface Point { day: Date; values: Value[] }

const WIDE_RANGE = 12;
const TOWERING = 6;
const FEW = 10;

export default function draw(stage: Stage, data: SeriesChart): Chart {
  const kind: Kind = data.from_zero ? "count" : "number";
  const days = [...new Set(data.series.flatMap((s) => s.days))].sort().map((day) => new Date(day));
  const all = data.series.flatMap((s) => [...s.middle, ...s.bands.flatMap((b) => [...b.low, ...b.high])]).filter((v): v is number => v !== null);
  const positive = all.filter((v) => v > 0);
  const [least, most] = [Math.min(...positive), Math.max(...all, data.threshold ?? 0, data.scale_to ?? 0)];
  // Charts of one scale keep it.
  const canLog = data.from_zero && data.scale_to == null && positive.length > 0 && most / least > WIDE_RANGE;
  // What is newest and ahead must be seen beside an old peak.
  const newest = Math.max(0, ...data.series.map((s) => s.bands[0]?.high.at(-1) ?? s.middle.at(-1) ?? 0));
  let log = canLog && newest >= FEW && (newest < most / TOWERING || data.series.some((s) => s.kind === "past"));
  let chosen = -1;
  let width = 0;

  const controls = document.createElement("div");
  controls.className = "controls corner";
  if (canLog) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: word("log"), className: "toggle" });
    button.setAttribute("aria-pressed", String(log));
    button.addEventListener("click", () => {
      log = !log;
      button.setAttribute("aria-pressed", String(log));
      render(width);
    });
    controls.append(button);
  }
  const key = keyOf(data);
  const wrapper = document.createElement("div");
  wrapper.className = "probe";
  wrapper.tabIndex = 0;
  wrapper.setAttribute("role", "group");
  wrapper.setAttribute("aria-label", stage.title);

  function render(now: number): void {
    width = now;
    const height = Math.round(Math.max(190, Math.min(340, width * (stage.figure.classList.contains("small") ? 0.52 : 0.46))));
    const labels = onAxis(most, kind);
    const box = { left: Math.max(34, textWidth(labels, 11) + 14), right: width - 12, top: 14, bottom: height - 26 };
    const [first, last] = extent(days) as [Date, Date];
    const past = data.series.some((s) => s.kind === "past");
    const pad = past ? 4 * 864e5 : 0;
    const x = scaleUtc([new Date(first.getTime() - pad), new Date(last.getTime() + pad)], [box.left + (past ? 6 : 4), box.right - 4]);
    const floor = log ? Math.max(0.5, least * 0.8) : data.from_zero ? 0 : Math.min(...all, data.threshold ?? Infinity);
    const margin = data.from_zero ? 0 : (most - floor) * 0.06;
    const y = log ? scaleLog([floor, most * 1.15], [box.bottom, box.top]) : scaleLinear([floor - margin, most * (data.from_zero ? 1.05 : 1) + margin], [box.bottom, box.top]);
    const at = (value: number): number => px(y(log ? Math.max(floor, value) : value));

    const drawing = canvas(stage.figure, width, height);
    drawing.append(yAxis(y, box, kind, Math.max(3, Math.round(height / 62))), dayAxis(x, box, days));
    if (data.now) {
      const nx = px(x(new Date(data.now)));
      drawing.append(svg("line", { class: "now", x1: nx, x2: nx, y1: box.top, y2: box.bottom }));
    }
    for (const s of data.series) drawing.append(drawSeries(s, data, x, at));
    if (data.threshold !== null && data.threshold >= floor && data.threshold <= most * 1.05) {
      const ty = at(data.threshold);
      drawing.append(svg("line", { class: "limit", x1: box.left, x2: box.right, y1: ty, y2: ty }));
      if (data.from_zero) drawing.append(svg("text", { class: "limit-label", x: box.left + 4, y: ty - 5 }, `${data.threshold_label} ${onAxis(data.threshold, kind)}`));
    }
    const cursor = svg("g", { class: "cursor" });
    drawing.append(cursor);
    wrapper.replaceChildren(drawing);
    if (!wrapper.isConnected) stage.plot.append(wrapper, key);
    if (canLog && !controls.isConnected) stage.figure.append(controls);
    follow(drawing, cursor, x, at, box.top, box.bottom);
  }

  function follow(drawing: SVGSVGElement, cursor: SVGGElement, x: (day: Date) => number, at: (v: number) => number, top: number, bottom: number): void {
    const show = (index: number, say: boolean): void => {
      const day = days[index];
      if (!day) return;
      chosen = index;
      const nx = px(x(day));
      const told = data.series.map((s) => pointOf(s, day)).flatMap((p, i) => (p ? [[data.series[i] as Series, p] as const] : []));
      cursor.replaceChildren(svg("line", { x1: nx, x2: nx, y1: top, y2: bottom }));
      for (const [s, p] of told) if (p.values[0] !== null && p.values[0] !== undefined) cursor.append(svg("circle", { class: `tone${s.tone}`, cx: nx, cy: at(p.values[0]), r: 4 }));
      const rows = told.map(([s, p]) => [s.label, withInterval(p.values, kind)]);
      const heights = told.flatMap(([, p]) => (p.values[0] == null ? [] : [at(p.values[0])]));
      stage.tip.show(nx, Math.min(bottom - 30, ...heights) + drawing.getBoundingClientRect().top - stage.plot.getBoundingClientRect().top, dayWords(day), rows);
      if (say) stage.say(`${dayWords(day)}: ${rows.map((r) => r.join(" ")).join("; ")}`);
    };
    const hide = (): void => {
      cursor.replaceChildren();
      stage.tip.hide();
    };
    drawing.addEventListener("pointermove", (event) => {
      const px_ = event.clientX - drawing.getBoundingClientRect().left;
      let [best, least_] = [0, Infinity];
      days.forEach((day, i) => {
        const far = Math.abs(x(day) - px_);
        if (far < least_) [best, least_] = [i, far];
      });
      show(best, false);
    });
    drawing.addEventListener("pointerleave", hide);
    wrapper.onblur = hide;
    wrapper.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, PageDown: 8, PageUp: -8 }[event.key];
      if (event.key === "Escape") return hide();
      if (event.key === "Home" || event.key === "End") chosen = event.key === "Home" ? 0 : days.length - 1;
      else if (step === undefined) return;
      else chosen = chosen < 0 ? days.length - 1 : Math.max(0, Math.min(days.length - 1, chosen + step));
      event.preventDefault();
      show(chosen, true);
    };
  }
  return { render };
}

/** Median and widest interval of a series on a day. */
function pointOf(s: Series, day: Date): Point | null {
  const i = s.days.findIndex((d) => new Date(d).getTime() === day.getTime());
  if (i < 0) return null;
  const widest = s.bands[0];
  const values = [s.middle[i] ?? null, widest?.low[i] ?? null, widest?.high[i] ?? null];
  return values.every((v) => v === null) ? null : { day, values };
}

function withInterval(values: Value[], kind: Kind): string {
  const [middle, low, high] = values;
  const range = low == null || high == null ? "" : ` (${written(low, kind)}–${written(high, kind)})`;
  return `${written(middle ?? null, kind)}${range}`;
}

function drawSeries(s: Series, data: SeriesChart, x: (day: Date) => number, at: (v: number) => number): SVGGElement {
  const group = svg("g", { class: `series ${s.kind} tone${s.tone}` });
  const days = s.days.map((day) => new Date(day));
  const known = days.map((day, i) => ({ day, value: s.middle[i] ?? null, i })).filter((p): p is { day: Date; value: number; i: number } => p.value !== null);
  if (s.kind === "fan") {
    // A forecast opens at the last report, where nothing is uncertain any more.
    const start = data.series.find((o) => o.kind === "seen" && o.tone === s.tone);
    const anchor = start && days[0] ? lastKnown(start, days[0]) : null;
    for (const band of s.bands) {
      const points = days.map((day, i) => [day, band.low[i] ?? null, band.high[i] ?? null] as const).filter((p): p is readonly [Date, number, number] => p[1] !== null && p[2] !== null);
      const opened = anchor ? [[anchor.day, anchor.value, anchor.value] as const, ...points] : points;
      const shape = area<readonly [Date, number, number]>().x((p) => px(x(p[0]))).y0((p) => at(p[1])).y1((p) => at(p[2])).curve(curveLinear);
      group.append(svg("path", { class: `band b${band.level}`, d: shape(opened) }));
    }
    if (anchor) known.unshift({ ...anchor, i: -1 });
  }
  if (s.kind === "past") {
    for (const band of s.bands) {
      days.forEach((day, i) => {
        const [low, high] = [band.low[i], band.high[i]];
        if (low != null && high != null) group.append(svg("line", { class: `stick b${band.level}`, x1: px(x(day)), x2: px(x(day)), y1: at(low), y2: at(high) }));
      });
    }
    for (const p of known) group.append(svg("line", { class: "mid", x1: px(x(p.day)) - 3.5, x2: px(x(p.day)) + 3.5, y1: at(p.value), y2: at(p.value) }));
    return group;
  }
  const path = line<{ day: Date; value: number }>().x((p) => px(x(p.day))).y((p) => at(p.value));
  group.append(svg("path", { class: "line", d: path(known) }));
  if (s.kind === "seen" && known.length <= 90) {
    const past = data.series.find((o) => o.kind === "past");
    for (const p of known) {
      const widest = past?.bands[0];
      const j = past ? past.days.indexOf(s.days[p.i] ?? "") : -1;
      const [low, high] = [widest?.low[j] ?? null, widest?.high[j] ?? null];
      const missed = low !== null && high !== null && (p.value < low || p.value > high);
      group.append(svg("circle", { class: missed ? "dot missed" : "dot", cx: px(x(p.day)), cy: at(p.value), r: missed ? 3.6 : 2.6 }));
    }
  }
  return group;
}

function lastKnown(s: Series, before: Date): { day: Date; value: number } | null {
  for (let i = s.days.length - 1; i >= 0; i--) {
    const [day, value] = [new Date(s.days[i] ?? ""), s.middle[i] ?? null];
    if (value !== null && day < before) return { day, value };
  }
  return null;
}

/** The key below: only where there is more than one thing to tell apart. */
function keyOf(data: SeriesChart): HTMLElement {
  const list = document.createElement("ul");
  list.className = "key";
  for (const s of data.series) {
    const levels = s.bands.map((b) => `${b.level}%`).join(" · ");
    const item = document.createElement("li");
    const swatch = Object.assign(document.createElement("span"), { className: `swatch ${s.kind} tone${s.tone}` });
    item.append(swatch, levels ? `${s.label} (${levels})` : s.label);
    list.append(item);
  }
  return list;
}
