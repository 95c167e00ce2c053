// A run that goes on: its progress as it is told (Server-Sent Events), and its page anew once it has ended.
interface Told { at: number; of: number; words: string }

export function follow(panel: HTMLElement): void {
  const words = panel.querySelector<HTMLElement>("[data-words]");
  const bar = panel.querySelector("progress");
  panel.querySelector<HTMLElement>("[data-again]")?.setAttribute("hidden", "");
  const source = new EventSource(panel.dataset.follow ?? "");
  source.addEventListener("progress", (event) => {
    const told = JSON.parse((event as MessageEvent<string>).data) as Told;
    if (words && words.textContent !== told.words) words.textContent = told.words;
    if (!bar) return;
    if (told.of > 0) [bar.max, bar.value] = [told.of, told.at];
    else bar.removeAttribute("value");
  });
  source.addEventListener("end", () => {
    source.close();
    location.reload();
  });
  // The browser asks again by itself unless it was refused; then there is the link.
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) panel.querySelector<HTMLElement>("[data-again]")?.removeAttribute("hidden");
  });
}
