// A ranking: names, bars, intervals, values; and a level the bars are held against.
import { scaleLinear } from "d3-scale";
import type { BarsChart } from "../chart/data";
import type { Chart, Stage } from "../chart/frame";
import { canvas, fitted, px, svg, textWidth } from "../chart/svg";
import { written } from "../language";

const ROW = 27;
const LETTER = 13;

export default function draw(stage: Stage, data: BarsChart): Chart {
  const ends = data.bars.flatMap((b) => [b.value, b.high ?? 0]);
  const most = (data.kind === "share" || data.kind === "chance") && Math.max(...ends) > 0.5 ? 1 : Math.max(...ends, data.reference ?? 0, 1e-9);
  const values = data.bars.map((b) => (data.kind === "number" && most < 100 ? b.value.toFixed(2) : written(b.value, data.kind)));

  function render(width: number): void {
    const names = Math.min(width * 0.44, Math.max(...data.bars.map((b) => textWidth(b.label, LETTER))) + 14);
    const numbers = Math.max(...values.map((v) => textWidth(v, LETTER))) + 10;
    const head = data.reference === null ? 4 : 20;
    const x = scaleLinear([0, most * 1.02], [names, width - numbers - 2]);
    const height = head + ROW * data.bars.length + 4;
    const drawing = canvas(stage.figure, width, height, "group");
    data.bars.forEach((bar, i) => {
      const y = head + i * ROW + ROW / 2;
      const label = svg("text", { class: bar.strong ? "name strong" : "name", x: 0, y: y + 4.5 }, fitted(bar.label, names - 8, LETTER));
      const exact = bar.low !== null && bar.low === bar.high;
      const range = bar.low === null || bar.high === null || exact ? "" : ` (${written(bar.low, data.kind)}–${written(bar.high, data.kind)})`;
      const told = `${bar.label}: ${values[i]}${range}`;
      const row = svg("g", { class: "entry" });
      row.append(
        svg("rect", { class: "hit", x: 0, y: y - ROW / 2, width, height: ROW }),
        bar.href ? svg("a", { href: bar.href, "aria-label": told }, label) : label,
        svg("rect", { class: bar.strong ? "bar strong" : "bar", x: x(0), y: y - 7, width: Math.max(1, px(x(bar.value) - x(0))), height: 14, rx: 2 }),
      );
      if (bar.low !== null && bar.high !== null) {
        if (exact) row.append(svg("line", { class: "promise", x1: px(x(bar.low)), x2: px(x(bar.low)), y1: y - 11, y2: y + 11 }));
        else row.append(svg("path", { class: "whisker", d: `M${px(x(bar.low))} ${y - 4}v8M${px(x(bar.low))} ${y}H${px(x(bar.high))}M${px(x(bar.high))} ${y - 4}v8` }));
      }
      row.append(svg("text", { class: "value", x: width, y: y + 4.5, "text-anchor": "end" }, values[i] ?? ""));
      row.addEventListener("pointerenter", () => stage.tip.show(px(x(bar.value)), y - 8, bar.label, [[data.unit || "", `${values[i]}${range}`]]));
      row.addEventListener("pointerleave", () => stage.tip.hide());
      drawing.append(row);
    });
    if (data.reference !== null) {
      const at = px(x(data.reference));
      const anchor = at > width * 0.75 ? "end" : "middle";
      drawing.append(
        svg("line", { class: "limit", x1: at, x2: at, y1: head - 4, y2: height }),
        svg("text", { class: "tick", x: at, y: 12, "text-anchor": anchor }, data.reference_label),
      );
    }
    stage.plot.querySelector("svg.drawing")?.remove();
    stage.plot.prepend(drawing);
  }
  return { render };
}
