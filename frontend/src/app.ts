// The core that every page loads: htmx with server-sent events, the theme, menus, and islands that come when they are seen.
import "htmx.org/dist/htmx.esm.min.js";
import "htmx.org/dist/ext/hx-sse.min.js";
import { startIslands } from "./island";
import { startTheme } from "./theme";

startTheme();
startIslands(document);

// What htmx swaps in may hold charts of its own.
document.addEventListener("htmx:after:swap", () => startIslands(document));

for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.menu")) {
  document.addEventListener("click", (event) => {
    if (menu.open && !menu.contains(event.target as Node)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) {
      menu.open = false;
      menu.querySelector("summary")?.focus();
    }
  });
}

const going = document.querySelector<HTMLElement>("[data-follow]");
// After the page has loaded: a stream that stays open would keep it loading.
if (going) window.addEventListener("load", () => void import("./follow").then(({ follow }) => follow(going)));

// A select that leads somewhere goes there when it changes; without scripts its button does.
for (const select of document.querySelectorAll<HTMLSelectElement>("select[data-go]")) {
  select.addEventListener("change", () => select.form?.requestSubmit());
}

// The page in the navigation is seen on a phone, where the row scrolls.
const here = document.querySelector<HTMLElement>(".pages [aria-current]");
const row = here?.closest<HTMLElement>(".pages ul");
if (here && row) row.scrollLeft = here.offsetLeft - (row.clientWidth - here.offsetWidth) / 2;
