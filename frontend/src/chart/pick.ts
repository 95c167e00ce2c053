// Controls above a chart: a choice of few, and a slider over weeks that can play.
import { calm } from "./frame";
import { word } from "../language";

const STEP_MS = 900;
const SHORT = 9;

/** Buttons of which one is pressed. */
export function choice(label: string, names: readonly string[], chosen: (at: number) => void, start = 0): HTMLElement {
  const group = document.createElement("div");
  group.className = "segmented";
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", label);
  const buttons = names.map((name, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.setAttribute("aria-pressed", String(at === start));
    button.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      chosen(at);
    });
    return button;
  });
  group.append(...buttons);
  return group;
}

/** A slider over steps with their names below it; `play` goes through them once. */
export function slider(label: string, play: string, names: readonly string[], moved: (at: number) => void, start = 0): HTMLElement {
  const group = document.createElement("div");
  group.className = "slider";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "play";
  const range = Object.assign(document.createElement("input"), { type: "range", min: "0", max: String(names.length - 1), step: "1", value: String(start) });
  range.setAttribute("aria-label", label);
  const marks = document.createElement("div");
  marks.className = "slider-marks";
  marks.setAttribute("aria-hidden", "true");
  const few = names.length <= 6 && names.every((name) => name.length <= SHORT);
  const spans = (few ? names : [names[start] ?? ""]).map((name) => Object.assign(document.createElement("span"), { textContent: name }));
  marks.append(...spans);
  let timer = 0;
  const stop = (): void => {
    window.clearInterval(timer);
    timer = 0;
    button.classList.remove("on");
    button.setAttribute("aria-label", play);
  };
  const go = (at: number): void => {
    range.value = String(at);
    range.setAttribute("aria-valuetext", names[at] ?? "");
    if (few) spans.forEach((span, i) => span.classList.toggle("on", i === at));
    else if (spans[0]) spans[0].textContent = names[at] ?? "";
    moved(at);
  };
  range.addEventListener("input", () => {
    stop();
    go(Number(range.value));
  });
  button.addEventListener("click", () => {
    if (timer) return stop();
    button.classList.add("on");
    button.setAttribute("aria-label", word("pause"));
    const last = names.length - 1;
    if (Number(range.value) >= last) go(0);
    timer = window.setInterval(() => {
      const next = Number(range.value) + 1;
      go(next);
      if (next >= last) stop();
    }, STEP_MS);
  });
  stop();
  const track = document.createElement("div");
  track.className = few ? "slider-track few" : "slider-track";
  track.append(range, marks);
  if (!calm()) group.append(button);
  group.append(track);
  range.setAttribute("aria-valuetext", names[start] ?? "");
  if (few) spans[start]?.classList.add("on");
  return group;
}

/** One of many elements can be reached with Tab; arrow keys move to the nearest in their direction. */
export function roving(elements: readonly SVGElement[], centres: readonly (readonly [number, number])[], focused: (at: number) => void): void {
  let current = 0;
  elements.forEach((element, at) => {
    element.setAttribute("tabindex", at === 0 ? "0" : "-1");
    element.addEventListener("keydown", (event) => {
      const to = nearest(centres, at, event.key);
      if (to === null) return;
      event.preventDefault();
      elements[to]?.focus();
    });
    element.addEventListener("focus", () => {
      elements[current]?.setAttribute("tabindex", "-1");
      current = at;
      element.setAttribute("tabindex", "0");
      focused(at);
    });
  });
}

const DIRECTIONS: Readonly<Record<string, readonly [number, number]>> = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

/** The point that lies in a key's direction and is closest, sideways steps counting more; null where there is none. */
export function nearest(centres: readonly (readonly [number, number])[], from: number, key: string): number | null {
  const direction = DIRECTIONS[key];
  const start = centres[from];
  if (!direction || !start) return null;
  let best: number | null = null;
  let least = Infinity;
  centres.forEach((centre, at) => {
    const [dx, dy] = [centre[0] - start[0], centre[1] - start[1]];
    const [along, aside] = [dx * direction[0] + dy * direction[1], Math.abs(dx * direction[1]) + Math.abs(dy * direction[0])];
    if (at === from || along <= 0) return;
    const cost = along + 2.2 * aside;
    if (cost < least) [best, least] = [at, cost];
  });
  return best;
}
