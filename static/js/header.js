/** The header of every page: menus, the recogniser's pill, the switch for keyboard shortcuts, local times. */

import { gettext, interpolate, pageLanguage } from "./i18n.js";
import { healthWatch } from "./health-watch.js";
import { localiseTimes } from "./times.js";
import { areShortcutsOn, setShortcutsOn } from "./shortcuts.js";

const PILL_EVERY_MS = 30_000;

class RivaPill {
  constructor(element) {
    this.element = element;
    this.url = element.dataset.readyUrl;
    this.badSince = null;
  }

  connect() {
    healthWatch.follow(this.url, PILL_EVERY_MS, (report) => this.onReport(report));
  }

  onReport({ recogniser, since }) {
    if (recogniser === "ok") this.show("ok", gettext("Riva ready"));
    else if (recogniser === "slow") this.show("warn", gettext("Riva slow"));
    else if (recogniser === "down") this.showDown(since);
    else this.show("", gettext("Riva unknown"));
    if (recogniser !== "down") this.badSince = null;
  }

  /** Processes notice at different moments; the earliest that was heard of stands. */
  showDown(since) {
    const heard = since ?? new Date();
    if (this.badSince === null || heard < this.badSince) this.badSince = heard;
    const time = this.badSince.toLocaleTimeString(pageLanguage(), { hour: "2-digit", minute: "2-digit" });
    this.show("danger", interpolate(gettext("Riva unreachable since %(time)s"), { time }));
  }

  show(tone, text) {
    this.element.dataset.tone = tone;
    this.element.title = text;
    this.element.querySelector("span").textContent = text;
  }
}

function connectNavigation(header) {
  const toggle = header.querySelector("[data-nav-toggle]");
  const nav = header.querySelector("#site-nav");
  const menu = header.querySelector("[data-menu]");
  const open = (isOpen) => {
    nav.classList.toggle("is-open", isOpen);
    toggle.setAttribute("aria-expanded", String(isOpen));
  };
  toggle.addEventListener("click", () => open(!nav.classList.contains("is-open")));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (menu?.open) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    if (nav.classList.contains("is-open")) {
      open(false);
      toggle.focus();
    }
  });
  document.addEventListener("click", (event) => {
    if (menu?.open && !menu.contains(event.target)) menu.open = false;
    if (!header.contains(event.target)) open(false);
  });
}

function connectShortcutsSwitch(header) {
  const box = header.querySelector("[data-shortcuts-switch]");
  if (!box) return;
  box.checked = areShortcutsOn();
  box.addEventListener("change", () => setShortcutsOn(box.checked));
}

const header = document.querySelector("[data-header]");
if (header) {
  connectNavigation(header);
  connectShortcutsSwitch(header);
  new RivaPill(header.querySelector("[data-riva-pill]")).connect();
}
localiseTimes(document);
