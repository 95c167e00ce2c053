// Shares by class against the share each should have.
import { scaleLinear } from "d3-scale";
import { xAxis, yAxis } from "../chart/axes";
import type { HistogramChart } from "../chart/data";
import type { Chart, Stage } from "../chart/frame";
import { canvas, px, svg } from "../chart/svg";
import { written } from "../language";

export default function draw(stage: Stage, data: HistogramChart): Chart {
  function render(width: number): void {
    const height = Math.round(Math.min(300, Math.max(200, width * 0.6)));
    const box = { left: 40, right: width - 8, top: 24, bottom: height - 44 };
    const [first, last] = [data.edges[0] ?? 0, data.edges.at(-1) ?? 1];
    const x = scaleLinear([first, last], [box.left, box.right]);
    const y = scaleLinear([0, Math.max(...data.shares, data.expected) * 1.1], [box.bottom, box.top]);
    const drawing = canvas(stage.figure, width, height);
    drawing.append(yAxis(y, box, "share", 4), xAxis(x, box, "number", 5));
    data.shares.forEach((share, i) => {
      const [from, to] = [px(x(data.edges[i] ?? 0)), px(x(data.edges[i + 1] ?? 0))];
      const bar = svg("rect", { class: "bar", x: from + 1, y: px(y(share)), width: to - from - 2, height: px(box.bottom - y(share)) });
      bar.addEventListener("pointerenter", () => stage.tip.show((from + to) / 2, y(share), `${data.edges[i]}–${data.edges[i + 1]}`, [[data.y_label, written(share, "share")]]));
      bar.addEventListener("pointerleave", () => stage.tip.hide());
      drawing.append(bar);
    });
    drawing.append(
      svg("line", { class: "limit", x1: box.left, x2: box.right, y1: px(y(data.expected)), y2: px(y(data.expected)) }),
      svg("text", { class: "tick strong", x: 0, y: 11 }, data.y_label),
      svg("text", { class: "tick strong", x: box.right, y: height - 6, "text-anchor": "end" }, data.x_label),
    );
    stage.plot.querySelector("svg.drawing")?.remove();
    stage.plot.prepend(drawing);
  }
  return { render };
}
