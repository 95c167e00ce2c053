// What every chart has: its size, a tooltip, words for those who hear it, and files to download.
import { startSaving } from "./save";

/** A chart draws itself at a width, and may be drawn again at another. */
export interface Chart {
  render(width: number): void;
}

export interface Stage {
  figure: HTMLElement;
  plot: HTMLElement;
  title: string;
  tip: Tip;
  /** Says something to those who hear the page. */
  say(text: string): void;
}

export type Draw<Data> = (stage: Stage, data: Data) => Chart | Promise<Chart>;

export async function mount<Data>(figure: HTMLElement, plot: HTMLElement, draw: Draw<Data>, data: Data): Promise<void> {
  plot.replaceChildren();
  const live = document.createElement("output");
  live.className = "hidden";
  live.setAttribute("aria-live", "polite");
  const title = figure.querySelector("figcaption")?.firstElementChild?.textContent ?? "";
  const stage: Stage = { figure, plot, title, tip: new Tip(plot), say: (text) => void (live.textContent = text) };
  const chart = await draw(stage, data);
  let width = 0;
  const render = (): void => {
    const now = Math.round(plot.clientWidth);
    if (now < 1 || now === width) return;
    width = now;
    stage.tip.hide();
    chart.render(width);
  };
  render();
  new ResizeObserver(render).observe(plot);
  plot.append(live);
  startSaving(figure, plot);
}

/** A small card beside what is pointed at. */
export class Tip {
  private readonly card = document.createElement("div");

  constructor(private readonly plot: HTMLElement) {
    this.card.className = "tip";
    this.card.setAttribute("aria-hidden", "true");
    this.card.hidden = true;
  }

  /** Rows of (label, value); a row of one is a line of its own. Position in pixels of the plot. */
  show(x: number, y: number, title: string, rows: readonly (readonly string[])[] = []): void {
    if (this.card.parentElement !== this.plot) this.plot.append(this.card);
    const head = document.createElement("strong");
    head.textContent = title;
    const list = rows.map((cells) => {
      const line = document.createElement("div");
      line.append(...cells.map((cell) => Object.assign(document.createElement("span"), { textContent: cell })));
      return line;
    });
    this.card.replaceChildren(head, ...list);
    this.card.hidden = false;
    const [width, height] = [this.card.offsetWidth, this.card.offsetHeight];
    const left = Math.max(0, Math.min(x - width / 2, this.plot.clientWidth - width));
    const top = y - height - 12 < 0 ? y + 16 : y - height - 12;
    this.card.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }

  hide(): void {
    this.card.hidden = true;
  }
}

export const calm = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;
