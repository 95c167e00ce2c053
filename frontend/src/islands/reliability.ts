// Chances as forecast against how often they came true.
import { scaleLinear } from "d3-scale";
import { xAxis, yAxis } from "../chart/axes";
import type { ReliabilityChart } from "../chart/data";
import type { Chart, Stage } from "../chart/frame";
import { canvas, px, svg } from "../chart/svg";
import { written } from "../language";

export default function draw(stage: Stage, data: ReliabilityChart): Chart {
  const all = data.bins.reduce((sum, bin) => sum + bin.tasks, 0);

  function render(width: number): void {
    const side = Math.min(width, 380);
    const box = { left: 44, right: side - 8, top: 24, bottom: side - 44 };
    const [x, y] = [scaleLinear([0, 1], [box.left, box.right]), scaleLinear([0, 1], [box.bottom, box.top])];
    const drawing = canvas(stage.figure, side, side);
    drawing.append(yAxis(y, box, "share", 5), xAxis(x, box, "share", 5));
    drawing.append(
      svg("text", { class: "tick strong", x: 0, y: 11 }, data.y_label),
      svg("text", { class: "tick strong", x: box.right, y: side - 6, "text-anchor": "end" }, data.x_label),
      svg("line", { class: "limit", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    );
    for (const bin of data.bins) {
      const [cx, cy] = [px(x(bin.forecast)), px(y(bin.observed))];
      if (bin.low !== null && bin.high !== null) drawing.append(svg("line", { class: "whisker", x1: cx, x2: cx, y1: px(y(bin.low)), y2: px(y(bin.high)) }));
      const disc = svg("circle", { class: "disc", cx, cy, r: px(2.5 + 7 * Math.sqrt(bin.tasks / all)) });
      disc.addEventListener("pointerenter", () => stage.tip.show(cx, cy, `n = ${bin.tasks}`, [[data.x_label, written(bin.forecast, "share")], [data.y_label, written(bin.observed, "share")]]));
      disc.addEventListener("pointerleave", () => stage.tip.hide());
      drawing.append(disc);
    }
    stage.plot.querySelector("svg.drawing")?.remove();
    stage.plot.prepend(drawing);
  }
  return { render };
}
