/* Runs before the page is painted, so it is no module. The storage key and the attribute are Django admin's own. */
(() => {
  "use strict";

  const KEY = "theme";
  const ORDER = ["auto", "light", "dark"];
  const root = document.documentElement;

  function read() {
    try {
      const stored = localStorage.getItem(KEY);
      return ORDER.includes(stored) ? stored : "auto";
    } catch {
      return "auto"; // storage is blocked: follow the system
    }
  }

  function apply(theme) {
    root.dataset.theme = theme;
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // storage is blocked: the choice lasts as long as the page
    }
    for (const button of document.querySelectorAll("[data-theme-button]")) {
      const label = button.dataset[`label${theme[0].toUpperCase()}${theme.slice(1)}`];
      button.setAttribute("aria-label", label);
      button.title = label;
    }
  }

  function next() {
    apply(ORDER[(ORDER.indexOf(root.dataset.theme) + 1) % ORDER.length]);
  }

  root.dataset.theme = read();
  document.addEventListener("DOMContentLoaded", () => {
    apply(read());
    for (const button of document.querySelectorAll("[data-theme-button]")) {
      button.addEventListener("click", next);
    }
    document.addEventListener("speech:theme", next);
  });
  window.addEventListener("storage", (event) => {
    if (event.key === KEY) apply(read());
  });
})();
