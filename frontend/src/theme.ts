// Light, dark, or as the device has it; kept in a cookie that the server reads, so that no page flashes.
export function startTheme(): void {
  const buttons = [...document.querySelectorAll<HTMLButtonElement>("[data-theme-choice]")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const choice = button.dataset.themeChoice ?? "auto";
      document.documentElement.dataset.theme = choice;
      const name = document.documentElement.dataset.themeCookie ?? "theme";
      const secure = location.protocol === "https:" ? "; secure" : "";
      document.cookie = `${name}=${choice}; path=/; max-age=31536000; samesite=lax${secure}`;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    });
  }
}
