// Islands: figures that a script draws from data at an address. Each kind is a module of its own, loaded when one is near the screen.
import type { Draw } from "./chart/frame";
import { language } from "./language";

const KINDS: Readonly<Record<string, () => Promise<{ default: Draw<never> }>>> = {
  map: () => import("./islands/map"),
  series: () => import("./islands/series"),
  bars: () => import("./islands/bars"),
  world: () => import("./islands/world"),
  flows: () => import("./islands/flows"),
  scatter: () => import("./islands/scatter"),
  reliability: () => import("./islands/reliability"),
  histogram: () => import("./islands/histogram"),
};
const NEAR = "300px";

export function startIslands(root: ParentNode): void {
  const waiting = [...root.querySelectorAll<HTMLElement>("[data-island]:not([data-started])")];
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        seen.unobserve(entry.target);
        void startIsland(entry.target as HTMLElement);
      }
    },
    { rootMargin: NEAR },
  );
  for (const figure of waiting) {
    figure.dataset.started = "";
    seen.observe(figure);
  }
}

async function startIsland(figure: HTMLElement): Promise<void> {
  const load = KINDS[figure.dataset.island ?? ""];
  const plot = figure.querySelector<HTMLElement>("[data-plot]");
  if (!load || !plot) return;
  try {
    const [{ mount }, module, response] = await Promise.all([
      import("./chart/frame"),
      load(),
      fetch(figure.dataset.url ?? "", { headers: { Accept: "application/json", "Accept-Language": language() } }),
    ]);
    if (!response.ok) throw new Error(`${response.status} ${response.url}`);
    await mount(figure, plot, module.default, (await response.json()) as never);
    figure.dataset.drawn = "";
  } catch (error) {
    console.warn(error);
    const told = document.createElement("p");
    told.className = "soft";
    told.textContent = figure.dataset.failed ?? "";
    plot.replaceChildren(told);
    figure.querySelector<HTMLDetailsElement>("details.numbers")?.setAttribute("open", "");
  } finally {
    plot.removeAttribute("aria-busy");
  }
}
