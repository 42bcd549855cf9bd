/** The health page: what /readyz says, in words. */

import { gettext, pageLanguage } from "./i18n.js";
import { formatMeasured } from "./live-words.js";
import { readHealth } from "./health-report.js";

const EVERY_MS = 5000;

/** name -> [heading, sentence when well, sentence when not] */
const CHECKS = {
  database: () => [gettext("Database"), gettext("It answers; what is said is stored."), gettext("It does not answer. Nothing new can be stored until it does; running recordings wait for it.")],
  recogniser: () => [gettext("Recogniser"), gettext("It answers; captions can be made."), gettext("It does not answer. New recordings are asked to try again.")],
  draining: () => [gettext("New recordings"), gettext("They are taken."), gettext("This server is being updated: it finishes its sessions and takes no new ones.")],
  capacity: () => [gettext("Places"), gettext("There are free places."), gettext("All places are taken. New recordings are asked to wait.")],
  channel_layer: () => [gettext("Live updates"), gettext("They flow."), gettext("They do not flow: pages fall back to reading the database, and a stop takes a second longer.")],
};

class HealthPage {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector(`[data-${name}]`);
    this.cards = new Map();
  }

  connect() {
    this.refresh();
    setInterval(() => this.refresh(), EVERY_MS);
    document.addEventListener("visibilitychange", () => this.refresh());
  }

  async refresh() {
    if (document.visibilityState !== "visible") return;
    const { isReady, checks } = await readHealth(this.root.dataset.readyUrl);
    this.showOverall(isReady, checks);
    for (const check of checks ?? []) this.showCheck(check);
    this.find("checked").textContent = new Date().toLocaleTimeString(pageLanguage());
  }

  showOverall(isReady, checks) {
    const isWhole = isReady && checks.every(({ ok }) => ok);
    const pill = this.find("overall");
    pill.dataset.tone = isWhole ? "ok" : isReady ? "warn" : "danger";
    const text = !checks
      ? gettext("The server does not answer")
      : isWhole ? gettext("Ready") : isReady ? gettext("Ready, with limits") : gettext("Not ready");
    if (pill.textContent !== text) this.find("status").textContent = text;
    pill.textContent = text;
  }

  showCheck({ name, ok, required, detail, duration_ms: durationMs }) {
    const card = this.cards.get(name) ?? this.addCard(name);
    const [heading, well, unwell] = CHECKS[name]?.() ?? [name, "", ""];
    const set = (part, text) => (card.querySelector(`[data-${part}]`).textContent = text);
    card.querySelector("[data-pill]").dataset.tone = ok ? "ok" : required ? "danger" : "warn";
    set("pill", ok ? gettext("OK") : gettext("Trouble"));
    set("name", heading);
    set("sentence", ok ? well : unwell);
    set("detail", detail);
    set("duration", formatMeasured(durationMs));
  }

  addCard(name) {
    const card = this.find("check-template").content.firstElementChild.cloneNode(true);
    this.cards.set(name, card);
    this.find("checks").append(card);
    return card;
  }
}

new HealthPage(document.querySelector("[data-health]")).connect();
