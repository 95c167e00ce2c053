// Making SVG elements.
const SPACE = "http://www.w3.org/2000/svg";

type Attributes = Readonly<Record<string, string | number | null | undefined>>;

export function svg<Tag extends keyof SVGElementTagNameMap>(tag: Tag, attributes: Attributes = {}, ...children: (Node | string)[]): SVGElementTagNameMap[Tag] {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

export const px = (value: number): number => Math.round(value * 10) / 10;

/** The drawing area of a chart: an SVG of a size, described by the figure's own title and text. */
export function canvas(figure: HTMLElement, width: number, height: number, role: "img" | "group" = "img"): SVGSVGElement {
  const about = figure.querySelector(`#${CSS.escape(figure.id)}-about`) ? `${figure.id}-about` : null;
  return svg("svg", {
    width, height, viewBox: `0 0 ${width} ${height}`, role, "aria-labelledby": `${figure.id}-title`, "aria-describedby": about,
    class: "drawing", focusable: "false",
  });
}

/** Words that fit a width, cut with an ellipsis. */
export function fitted(text: string, width: number, size = 12): string {
  if (textWidth(text, size) <= width) return text;
  const letters = [...text];
  while (letters.length > 1 && textWidth(`${letters.join("")}…`, size) > width) letters.pop();
  return `${letters.join("").trimEnd()}…`;
}

let pen: CanvasRenderingContext2D | null | undefined;

/** How wide words are in the page's font [px]; estimated where there is no page. */
export function textWidth(text: string, size = 12): number {
  if (pen === undefined) pen = typeof document === "undefined" ? null : document.createElement("canvas").getContext("2d");
  if (pen) {
    pen.font = `500 ${size}px ${getComputedStyle(document.body).fontFamily}`;
    return pen.measureText(text).width;
  }
  let sum = 0;
  for (const letter of text) sum += (letter.codePointAt(0) ?? 0) > 0x1100 ? 1 : /[A-Z→mw%]/.test(letter) ? 0.68 : /[iljtf.,:;| ]/.test(letter) ? 0.34 : 0.55;
  return sum * size;
}
