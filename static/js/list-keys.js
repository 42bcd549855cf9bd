/** Shortcuts of the list of past sessions. */

import { Shortcuts } from "./shortcuts.js";

const root = document.querySelector("main");
const links = [...root.querySelectorAll("[data-row-link]")];

function move(step) {
  const at = links.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : at + step;
  links[Math.max(0, Math.min(links.length - 1, next))]?.focus();
}

new Shortcuts({
  "/": () => root.querySelector("[data-search]").focus(),
  j: () => move(1),
  k: () => move(-1),
  t: () => document.dispatchEvent(new Event("speech:theme")),
  "g l": () => location.assign(root.dataset.liveUrl),
  "g s": () => location.assign(root.dataset.sessionsUrl),
  "g r": () => location.assign(root.dataset.recordUrl),
}).connect();
