// Released numbers against exact ones, or noise against size; both axes logarithmic.
import { scaleLog } from "d3-scale";
import { xAxis, yAxis } from "../chart/axes";
import type { ScatterChart } from "../chart/data";
import type { Chart, Stage } from "../chart/frame";
import { canvas, px, svg } from "../chart/svg";
import { onAxis, written } from "../language";

export default function draw(stage: Stage, data: ScatterChart): Chart {
  const range = (values: number[]): [number, number] => [Math.min(...values) * 0.8, Math.max(...values) * 1.25];
  const kindY = data.diagonal ? "count" : "share";

  function render(width: number): void {
    const height = Math.round(Math.min(420, Math.max(240, width * (data.diagonal ? 0.8 : 0.52))));
    let [rangeX, rangeY] = [range(data.dots.map((d) => d.x)), range(data.dots.map((d) => d.y))];
    if (data.diagonal) rangeX = rangeY = [Math.min(rangeX[0], rangeY[0]), Math.max(rangeX[1], rangeY[1])];
    const box = { left: Math.max(44, onAxis(rangeY[1], kindY).length * 8), right: width - 12, top: 24, bottom: height - 44 };
    const [x, y] = [scaleLog(rangeX, [box.left, box.right]), scaleLog(rangeY, [box.bottom, box.top])];
    const drawing = canvas(stage.figure, width, height);
    drawing.append(yAxis(y, box, kindY, 5), xAxis(x, box, "count", Math.floor(width / 90)));
    drawing.append(svg("text", { class: "tick strong", x: 0, y: 11 }, data.y_label), svg("text", { class: "tick strong", x: box.right, y: height - 6, "text-anchor": "end" }, data.x_label));
    if (data.diagonal) drawing.append(svg("line", { class: "limit", x1: x(rangeX[0]), y1: y(rangeX[0]), x2: x(rangeX[1]), y2: y(rangeX[1]) }));
    const points = data.dots.map((d) => [px(x(d.x)), px(y(d.y))] as const);
    drawing.append(svg("g", { class: "cloud" }, ...points.map(([cx, cy]) => svg("circle", { cx, cy, r: 2.6 }))));
    const ring = svg("circle", { class: "ring", r: 5, visibility: "hidden" });
    drawing.append(ring);
    drawing.addEventListener("pointermove", (event) => {
      const area = drawing.getBoundingClientRect();
      const [px_, py_] = [event.clientX - area.left, event.clientY - area.top];
      let [best, least] = [-1, 400];
      points.forEach(([a, b], i) => {
        const far = (a - px_) ** 2 + (b - py_) ** 2;
        if (far < least) [best, least] = [i, far];
      });
      const [dot, point] = [data.dots[best], points[best]];
      if (!dot || !point) return leave();
      ring.setAttribute("visibility", "visible");
      ring.setAttribute("cx", String(point[0]));
      ring.setAttribute("cy", String(point[1]));
      stage.tip.show(point[0], point[1], dot.label, [[data.x_label, written(dot.x, "count")], [data.y_label, written(dot.y, kindY)]]);
    });
    const leave = (): void => {
      ring.setAttribute("visibility", "hidden");
      stage.tip.hide();
    };
    drawing.addEventListener("pointerleave", leave);
    stage.plot.querySelector("svg.drawing")?.remove();
    stage.plot.prepend(drawing);
  }
  return { render };
}
