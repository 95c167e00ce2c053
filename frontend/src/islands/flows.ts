// Flows between places on their map; choosing a place shows only its own.
import { scaleSqrt } from "d3-scale";
import { fetchJson, type Flow, type FlowsChart, type Shapes } from "../chart/data";
import type { Chart, Stage } from "../chart/frame";
import { roving } from "../chart/pick";
import { canvas, px, svg } from "../chart/svg";
import { word, written } from "../language";

const SHOWN = 120;
const TALLEST = 720;

export default async function draw(stage: Stage, data: FlowsChart): Promise<Chart> {
  const shapes = await fetchJson<Shapes>(data.shapes_url);
  const placed = data.flows.filter((f) => shapes.centres[f.origin] && shapes.centres[f.destination]);
  const codes = Object.keys(shapes.paths);
  const [into, out] = [sums(placed, (f) => f.destination), sums(placed, (f) => f.origin)];
  let chosen: string | null = null;
  let scale = 1;
  let offset = 0;
  let lines = svg("g");
  const drawn = new Map<string, SVGGElement>();
  const controls = document.createElement("div");
  controls.className = "controls";
  const reset = Object.assign(document.createElement("button"), { type: "button", className: "toggle", textContent: word("all"), hidden: true });
  const note = Object.assign(document.createElement("p"), { className: "map-note soft" });
  controls.append(reset, note);
  reset.addEventListener("click", () => choose(null));

  function choose(code: string | null): void {
    chosen = code === chosen ? null : code;
    reset.hidden = chosen === null;
    for (const [other, mark] of drawn) mark.classList.toggle("chosen", other === chosen);
    note.textContent = chosen === null ? "" : summary(chosen);
    if (chosen !== null) stage.say(summary(chosen));
    drawLines();
  }

  const summary = (code: string): string => `${data.names[code] ?? code}: ${word("into")} ${written(into.get(code) ?? 0, "count")}, ${word("out")} ${written(out.get(code) ?? 0, "count")} ${data.unit}`;

  function drawLines(): void {
    const shown = (chosen === null ? placed : placed.filter((f) => f.origin === chosen || f.destination === chosen)).slice(0, SHOWN);
    const thick = scaleSqrt([0, Math.max(1, ...shown.map((f) => f.trips))], [0.4, 6]);
    const made = svg("g", { class: "flows", transform: `translate(${offset} 0)` });
    for (const f of [...shown].reverse()) {
      const path = svg("path", { class: f.destination === chosen ? "flow in" : "flow", d: arc(f), "stroke-width": px(thick(f.trips)) });
      const middle = between(f);
      path.addEventListener("pointerenter", () => {
        const rows = [[data.unit, `${written(f.trips, "count")}${f.std === null ? "" : ` ± ${written(1.96 * f.std, "count")}`}`]];
        stage.tip.show(middle[0] + offset, middle[1] + controls.offsetHeight, `${data.names[f.origin]} → ${data.names[f.destination]}`, rows);
      });
      path.addEventListener("pointerleave", () => stage.tip.hide());
      made.append(path);
    }
    lines.replaceWith(made);
    lines = made;
  }

  const centre = (code: string): [number, number] => {
    const [x, y] = shapes.centres[code] ?? [0, 0];
    return [x * scale, y * scale];
  };

  /** Flows bend to the right, so that the two directions of a pair stand apart. */
  function between(f: Flow): [number, number] {
    const [[x1, y1], [x2, y2]] = [centre(f.origin), centre(f.destination)];
    return [(x1 + x2) / 2 - (y2 - y1) * 0.18, (y1 + y2) / 2 + (x2 - x1) * 0.18];
  }

  function arc(f: Flow): string {
    const [[x1, y1], [xm, ym], [x2, y2]] = [centre(f.origin), between(f), centre(f.destination)];
    return `M${px(x1)} ${px(y1)}Q${px(xm)} ${px(ym)} ${px(x2)} ${px(y2)}`;
  }

  function render(width: number): void {
    scale = Math.min(width / shapes.width, TALLEST / shapes.height);
    offset = px((width - shapes.width * scale) / 2);
    const drawing = canvas(stage.figure, width, Math.ceil(shapes.height * scale) + 6, "group");
    const ground = svg("g", { class: "ground", transform: `translate(${offset} 0) scale(${scale.toFixed(4)})` });
    for (const code of codes) ground.append(svg("path", { d: shapes.paths[code], "fill-rule": "evenodd" }));
    lines = svg("g");
    const marks = svg("g", { class: "stops", transform: `translate(${offset} 0)` });
    const size = scaleSqrt([0, Math.max(1, ...into.values())], [1.2, codes.length > 60 ? 3.4 : Math.max(5, width / 70)]);
    drawn.clear();
    for (const code of codes) {
      const [x, y] = centre(code);
      const mark = svg("g", { role: "button", "aria-label": summary(code), class: "stop" }, svg("circle", { class: "hit", cx: px(x), cy: px(y), r: 9 }), svg("circle", { cx: px(x), cy: px(y), r: px(size(into.get(code) ?? 0)) }));
      mark.addEventListener("click", () => choose(code));
      mark.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(code); }
        if (event.key === "Escape") choose(null);
      });
      const show = (): void => stage.tip.show(x + offset, y + controls.offsetHeight, data.names[code] ?? code, [[word("into"), written(into.get(code) ?? 0, "count")], [word("out"), written(out.get(code) ?? 0, "count")]]);
      mark.addEventListener("pointerenter", show);
      mark.addEventListener("focus", () => { if (mark.matches(":focus-visible")) show(); });
      mark.addEventListener("pointerleave", () => stage.tip.hide());
      mark.addEventListener("blur", () => stage.tip.hide());
      drawn.set(code, mark);
      marks.append(mark);
    }
    roving([...drawn.values()], codes.map(centre), () => undefined);
    drawing.append(ground, lines, marks);
    stage.plot.querySelector("svg.drawing")?.remove();
    if (!controls.isConnected) stage.plot.append(controls);
    controls.after(drawing);
    drawLines();
  }
  return { render };
}

export function sums(flows: readonly Flow[], of: (flow: Flow) => string): Map<string, number> {
  const found = new Map<string, number>();
  for (const flow of flows) found.set(of(flow), (found.get(of(flow)) ?? 0) + flow.trips);
  return found;
}
