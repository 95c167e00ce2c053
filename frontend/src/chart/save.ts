// Downloads: the chart as it is on the screen, as SVG or as PNG. CSV comes from the server, so that its numbers are the page's.
const KEPT = [
  "fill", "fill-opacity", "fill-rule", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "opacity",
  "font-family", "font-size", "font-weight", "text-anchor", "dominant-baseline", "paint-order", "display", "visibility",
] as const;
const HEAD = 34;
const PAD = 16;
const SHARP = 2;

export function startSaving(figure: HTMLElement, plot: HTMLElement): void {
  for (const button of figure.querySelectorAll<HTMLButtonElement>("[data-save]")) {
    button.hidden = false;
    button.addEventListener("click", () => void save(figure, plot, button.dataset.save === "png"));
  }
}

async function save(figure: HTMLElement, plot: HTMLElement, asPng: boolean): Promise<void> {
  const drawing = plot.querySelector<SVGSVGElement>("svg.drawing");
  if (!drawing) return;
  const copy = standAlone(drawing, figure.querySelector("figcaption")?.firstElementChild?.textContent ?? "");
  const text = `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(copy)}`;
  const image = new Blob([text], { type: "image/svg+xml" });
  download(asPng ? await toPng(image, copy) : image, `${figure.id}.${asPng ? "png" : "svg"}`);
}

/** A copy that looks the same without the page's style sheet: computed styles become attributes, and the title stands above. */
export function standAlone(drawing: SVGSVGElement, title: string): SVGSVGElement {
  const copy = drawing.cloneNode(true) as SVGSVGElement;
  const [originals, copies] = [drawing.querySelectorAll("*"), copy.querySelectorAll("*")];
  const gone: Element[] = [];
  originals.forEach((original, i) => {
    const twin = copies[i];
    if (!twin) return;
    const style = getComputedStyle(original);
    if (style.display === "none") gone.push(twin);
    for (const name of KEPT) twin.setAttribute(name, style.getPropertyValue(name));
    for (const name of ["class", "tabindex", "role", "aria-label", "href"]) twin.removeAttribute(name);
  });
  for (const element of gone) element.remove();
  const [width, height] = [drawing.width.baseVal.value, drawing.height.baseVal.value];
  const page = getComputedStyle(drawing.closest(".chart") ?? drawing);
  const space = "http://www.w3.org/2000/svg";
  const moved = document.createElementNS(space, "g");
  moved.setAttribute("transform", `translate(${PAD} ${HEAD + PAD / 2})`);
  moved.append(...copy.childNodes);
  const paper = document.createElementNS(space, "rect");
  for (const [name, value] of [["width", "100%"], ["height", "100%"], ["fill", page.backgroundColor]]) paper.setAttribute(name ?? "", value ?? "");
  const head = document.createElementNS(space, "text");
  for (const [name, value] of [["x", PAD], ["y", HEAD - 8], ["font-size", 15], ["font-weight", 600], ["font-family", page.fontFamily], ["fill", page.color]]) head.setAttribute(String(name), String(value));
  head.textContent = title;
  copy.replaceChildren(paper, head, moved);
  const [outWidth, outHeight] = [width + 2 * PAD, height + HEAD + 1.5 * PAD];
  for (const [name, value] of [["xmlns", space], ["width", outWidth], ["height", outHeight], ["viewBox", `0 0 ${outWidth} ${outHeight}`]]) copy.setAttribute(String(name), String(value));
  for (const name of ["class", "aria-labelledby", "aria-describedby", "focusable", "tabindex"]) copy.removeAttribute(name);
  return copy;
}

async function toPng(image: Blob, drawing: SVGSVGElement): Promise<Blob> {
  const [width, height] = [Number(drawing.getAttribute("width")), Number(drawing.getAttribute("height"))];
  const address = URL.createObjectURL(image);
  try {
    const picture = new Image(width, height);
    picture.src = address;
    await picture.decode();
    const sheet = Object.assign(document.createElement("canvas"), { width: width * SHARP, height: height * SHARP });
    sheet.getContext("2d")?.drawImage(picture, 0, 0, sheet.width, sheet.height);
    return await new Promise((resolve, reject) => sheet.toBlob((made) => (made ? resolve(made) : reject(new Error("no picture"))), "image/png"));
  } finally {
    URL.revokeObjectURL(address);
  }
}

function download(content: Blob, name: string): void {
  const address = URL.createObjectURL(content);
  const link = Object.assign(document.createElement("a"), { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
