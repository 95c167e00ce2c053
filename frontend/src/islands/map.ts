// A map of places coloured by week and by what is asked: chance, expectation, upper end.
import { fetchJson, type MapChart, type Shapes, type Value } from "../chart/data";
import type { Chart, Stage } from "../chart/frame";
import { choice, roving, slider } from "../chart/pick";
import { canvas, px, svg, textWidth } from "../chart/svg";
import { onAxis, written, type Kind } from "../language";
import { classOf } from "../chart/classes";

const LEGEND = 58;
const TALLEST = 620;

export default async function draw(stage: Stage, data: MapChart): Promise<Chart> {
  const shapes = await fetchJson<Shapes>(data.shapes_url);
  const codes = Object.keys(shapes.paths).filter((code) => code in data.names);
  let [week, mode] = [Math.min(data.weeks.length - 1, data.start), 0];
  const places: SVGPathElement[] = [];
  const links: SVGAElement[] = [];
  let legend = svg("g");
  const note = Object.assign(document.createElement("p"), { className: "map-note soft" });

  const controls = document.createElement("div");
  controls.className = "controls";
  if (data.weeks.length > 1) controls.append(slider(data.words.week ?? "", data.words.play ?? "", data.weeks, (at) => { week = at; recolour(true); }, week));
  if (data.modes.length > 1) controls.append(choice(data.words.mode ?? "", data.modes.map((m) => m.label), (at) => { mode = at; recolour(false); drawLegend(); }));

  const valueOf = (code: string): Value => data.modes[mode]?.layers[week]?.[code] ?? null;
  const told = (code: string): string => {
    const value = valueOf(code);
    return value === null ? (data.words.unknown ?? "") : written(value, data.modes[mode]?.kind ?? "number");
  };

  /** Colours every place; how long it took is kept for those who measure. */
  function recolour(say: boolean): void {
    const began = performance.now();
    const limits = data.modes[mode]?.limits ?? [];
    codes.forEach((code, i) => {
      const value = valueOf(code);
      places[i]?.setAttribute("class", `place q${value === null ? 0 : classOf(value, limits)}`);
      links[i]?.setAttribute("aria-label", `${data.names[code]}: ${told(code)}`);
    });
    // Asked for, the browser works the colours out now: the time is what a reader waits, but for the painting.
    if (places[0]) void getComputedStyle(places[0]).fill;
    stage.figure.dataset.recolourMs = (performance.now() - began).toFixed(2);
    note.textContent = data.notes[week] ?? "";
    if (say) stage.say(`${data.weeks[week]}: ${data.notes[week]}`);
  }

  function rows(code: string): string[][] {
    return data.modes.map((m) => [m.label, written(m.layers[week]?.[code] ?? null, m.kind)]);
  }

  let [scale, offset, drawingWidth] = [1, 0, 0];

  function drawLegend(): void {
    const chosen = data.modes[mode];
    if (!chosen) return;
    const made = legendOf(chosen.limits, chosen.kind, chosen.unit, drawingWidth, shapes.height * scale + 12);
    legend.replaceWith(made);
    legend = made;
  }

  function render(width: number): void {
    scale = Math.min(width / shapes.width, TALLEST / shapes.height);
    offset = px((width - shapes.width * scale) / 2);
    drawingWidth = width;
    const drawing = canvas(stage.figure, width, Math.ceil(shapes.height * scale) + LEGEND, "group");
    const group = svg("g", { transform: `translate(${offset} 0) scale(${scale.toFixed(4)})`, class: "places" });
    places.length = links.length = 0;
    for (const code of codes) {
      const path = svg("path", { d: shapes.paths[code], "fill-rule": "evenodd" });
      const link = svg("a", { href: data.href + encodeURIComponent(code), "data-code": code }, path);
      places.push(path);
      links.push(link);
      const centre = shapes.centres[code] ?? [0, 0];
      const show = (): void => {
        group.append(link);
        stage.tip.show(offset + centre[0] * scale, centre[1] * scale, data.names[code] ?? code, rows(code));
      };
      link.addEventListener("pointerenter", show);
      link.addEventListener("pointerleave", () => stage.tip.hide());
      link.addEventListener("blur", () => stage.tip.hide());
      link.addEventListener("focus", () => {
        if (link.matches(":focus-visible")) stage.tip.show(offset + centre[0] * scale, centre[1] * scale, data.names[code] ?? code, rows(code));
      });
    }
    roving(links, codes.map((code) => shapes.centres[code] ?? [0, 0]), () => undefined);
    group.append(...links);
    legend = svg("g");
    drawing.append(group, legend);
    stage.plot.querySelector("svg.drawing")?.remove();
    if (!controls.isConnected) stage.plot.append(controls);
    controls.after(drawing);
    if (!note.isConnected) controls.append(note);
    recolour(false);
    drawLegend();
  }
  return { render };
}

/** Swatches with the limits between them, and what they count. */
export function legendOf(limits: readonly number[], kind: Kind, unit: string, width: number, top: number): SVGGElement {
  const group = svg("g", { class: "legend" });
  const step = Math.min(58, (width - 8) / (limits.length + 1));
  const span = step * (limits.length + 1);
  const left = px((width - span) / 2);
  group.append(svg("text", { class: "tick strong", x: width / 2, y: top + 8, "text-anchor": "middle" }, unit));
  for (let i = 0; i <= limits.length; i++) group.append(svg("rect", { class: `q${i + 1}`, x: px(left + i * step), y: top + 16, width: px(step - 1.5), height: 9 }));
  limits.forEach((limit, i) => {
    const label = onAxis(limit, kind);
    const fits = textWidth(label, 11) < step || i % 2 === 0;
    if (fits) group.append(svg("text", { class: "tick", x: px(left + (i + 1) * step), y: top + 39, "text-anchor": "middle" }, label));
  });
  return group;
}
