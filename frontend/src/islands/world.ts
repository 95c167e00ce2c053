// The world: expected imported cases by country as discs, week by week.
import { geoEqualEarth, geoGraticule10, geoPath } from "d3-geo";
import { scaleSqrt } from "d3-scale";
import { feature } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import { fetchJson, type Origin, type WorldChart } from "../chart/data";
import type { Chart, Stage } from "../chart/frame";
import { roving, slider } from "../chart/pick";
import { canvas, px, svg } from "../chart/svg";
import { onAxis, written } from "../language";

interface Atlas { topology: Topology<{ countries: GeometryCollection }>; centres: Record<string, [number, number]> }

const LABELLED = 5;

export default async function draw(stage: Stage, data: WorldChart): Promise<Chart> {
  const atlas = await fetchJson<Atlas>(new URL("world.json", import.meta.url).href);
  const land = feature(atlas.topology, atlas.topology.objects.countries);
  const placed = data.origins.filter((o) => atlas.centres[o.code]);
  let week = 0;
  let discs: SVGCircleElement[] = [];
  let labels = svg("g");
  let radius = scaleSqrt([0, 1], [0, 1]);
  let points: [number, number][] = [];
  let home: [number, number] | null = null;
  const controls = document.createElement("div");
  controls.className = "controls";
  if (data.weeks.length > 1) {
    controls.append(slider(data.words.week ?? "", data.words.play ?? "", data.weeks, (at) => { week = at; resize(); stage.say(data.weeks[at] ?? ""); }));
  }

  const most = (): number => Math.max(1e-9, ...placed.map((o) => o.mean[week] ?? 0));
  const told = (o: Origin): string => `${written(o.mean[week], "count")} (${written(o.low[week], "count")}–${written(o.high[week], "count")})`;

  function resize(): void {
    radius = radius.domain([0, most()]);
    discs.forEach((disc, i) => {
      const o = placed[i] as Origin;
      disc.setAttribute("r", String(Math.max(1.5, px(radius(o.mean[week] ?? 0)))));
      disc.setAttribute("aria-label", `${o.name}: ${told(o)}`);
    });
    const first = placed.map((o, i) => [o, i] as const).sort((a, b) => (b[0].mean[week] ?? 0) - (a[0].mean[week] ?? 0)).slice(0, LABELLED);
    const taken: [number, number, number][] = home ? [[home[0] - 6, home[0] + 6, home[1]]] : [];
    const free = (from: number, to: number, y: number): boolean =>
      from > 0 && to < stage.plot.clientWidth && !taken.some(([a, b, at]) => from < b && a < to && Math.abs(at - y) < 14);
    labels.replaceChildren(
      ...first.flatMap(([o, i]) => {
        const [x, y] = points[i] ?? [0, 0];
        const gap = radius(o.mean[week] ?? 0) + 4;
        const long = [...o.name].reduce((sum, letter) => sum + (letter > "\u2fff" ? 12.5 : 7.5), 0);
        // To the right where there is room, else to the left, else not at all: the numbers are in the list beside.
        const right = free(x + gap, x + gap + long, y);
        if (!right && !free(x - gap - long, x - gap, y)) return [];
        taken.push(right ? [x + gap, x + gap + long, y] : [x - gap - long, x - gap, y]);
        return [svg("text", { class: "map-label", x: px(right ? x + gap : x - gap), y: px(y + 4), "text-anchor": right ? "start" : "end" }, o.name)];
      }),
    );
  }

  function render(width: number): void {
    const projection = geoEqualEarth().rotate([-(data.home?.[0] ?? 0), 0]).fitWidth(width, { type: "Sphere" });
    const path = geoPath(projection).digits(1);
    const height = Math.ceil(path.bounds({ type: "Sphere" })[1][1]);
    radius = scaleSqrt([0, most()], [0, Math.max(12, width / 34)]);
    points = placed.map((o) => projection(atlas.centres[o.code] ?? [0, 0]) ?? [0, 0]);
    const drawing = canvas(stage.figure, width, height + Math.ceil(2 * radius.range()[1]!) + 8, "group");
    drawing.append(
      svg("path", { class: "sea", d: path({ type: "Sphere" }) }),
      svg("path", { class: "graticule", d: path(geoGraticule10()) }),
      svg("path", { class: "land", d: path(land) }),
    );
    home = data.home ? projection(data.home) : null;
    const group = svg("g", { class: "discs" });
    discs = placed.map((o, i) => {
      const [cx, cy] = points[i] ?? [0, 0];
      const disc = svg("circle", { class: "disc", role: "img", cx: px(cx), cy: px(cy), r: 2 });
      const show = (): void => stage.tip.show(cx, cy + controls.offsetHeight, o.name, [[data.unit, told(o)]]);
      disc.addEventListener("pointerenter", show);
      disc.addEventListener("focus", show);
      disc.addEventListener("pointerleave", () => stage.tip.hide());
      disc.addEventListener("blur", () => stage.tip.hide());
      return disc;
    });
    roving(discs, points, () => undefined);
    group.append(...discs);
    labels = svg("g", { class: "labels" });
    drawing.append(group, labels);
    if (home) drawing.append(svg("path", { class: "home", d: `M${px(home[0])} ${px(home[1]) - 5}l4.5 8h-9z` }));
    drawing.append(sizes(radius, width, height + Math.ceil(radius.range()[1]!) + 4));
    stage.plot.querySelector("svg.drawing")?.remove();
    if (!controls.isConnected) stage.plot.append(controls);
    controls.after(drawing);
    resize();
  }

  function sizes(scale: (v: number) => number, width: number, y: number): SVGGElement {
    const group = svg("g", { class: "legend" });
    const top = most();
    let x = width - 8;
    for (const value of [top, top / 4]) {
      const nice = Number(value.toPrecision(1));
      const text = onAxis(nice, "count");
      x -= 8 * text.length + 4;
      group.append(svg("text", { class: "tick", x, y: y + 4 }, text));
      x -= scale(nice) + 5;
      group.append(svg("circle", { class: "disc", cx: x, cy: y, r: px(scale(nice)) }));
      x -= scale(nice) + 12;
    }
    group.append(svg("text", { class: "tick", x, y: y + 4, "text-anchor": "end" }, data.unit));
    return group;
  }
  return { render };
}
