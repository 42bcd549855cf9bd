/** Looking for words in the transcript, and replacing them. */

import { gettext, interpolate, ngettext } from "../i18n.js";
import { findHits, MAX_HITS } from "./find.js";

export class FindBar {
  /**
   * texts(): [{key, text}] as they are shown. on: {show(hits, current), replaceOne(hit, replacement),
   * replaceAll(query, replacement, matchCase, count), mayReplace()}; replacing returns promises.
   */
  constructor(element, opener, { texts, on }) {
    this.element = element;
    this.opener = opener;
    this.find = (name) => element.querySelector(`[data-${name}]`);
    this.texts = texts;
    this.on = on;
    this.hits = [];
    this.at = -1;
  }

  connect() {
    this.opener.addEventListener("click", () => (this.element.hidden ? this.open() : this.close()));
    this.find("find-query").addEventListener("input", () => this.search());
    this.find("find-case").addEventListener("change", () => this.search());
    this.find("find-previous").addEventListener("click", () => this.step(-1));
    this.find("find-close").addEventListener("click", () => this.close());
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      if (event.submitter?.type === "submit" || !event.submitter) this.step(1);
    });
    this.element.addEventListener("keydown", (event) => this._onKey(event));
    this.find("replace-one")?.addEventListener("click", () => this._replaceOne());
    this.find("replace-all")?.addEventListener("click", () => this._replaceAll());
  }

  get isOpen() {
    return !this.element.hidden;
  }

  open(query = "") {
    this.element.hidden = false;
    this.opener.setAttribute("aria-expanded", "true");
    const field = this.find("find-query");
    if (query) field.value = query;
    field.select();
    field.focus();
    this.search();
  }

  close() {
    this.element.hidden = true;
    this.opener.setAttribute("aria-expanded", "false");
    this.hits = [];
    this.on.show([], null);
    this.opener.focus();
  }

  /** Look again: the query or the texts are others. */
  search({ stays = false } = {}) {
    const matchCase = this.find("find-case").checked;
    this.hits = findHits(this.texts(), this.find("find-query").value, { matchCase });
    this.at = stays ? Math.min(this.at, this.hits.length - 1) : this.hits.length ? 0 : -1;
    this._show(!stays);
  }

  step(by) {
    if (!this.hits.length) return;
    this.at = (this.at + by + this.hits.length) % this.hits.length;
    this._show(true);
  }

  _show(isMoving) {
    const count = this.hits.length;
    const query = this.find("find-query").value;
    const values = { at: this.at + 1, count: count === MAX_HITS ? `${count}+` : count };
    this.find("find-count").textContent = !query ? "" : count ? interpolate(gettext("%(at)s of %(count)s"), values) : gettext("No matches");
    for (const name of ["replace-one", "replace-all"]) {
      const button = this.find(name);
      if (button) button.disabled = !count || !this.on.mayReplace();
    }
    this.on.show(this.hits, this.hits[this.at] ?? null, isMoving);
  }

  async _replaceOne() {
    const hit = this.hits[this.at];
    if (!hit) return;
    await this.on.replaceOne(hit, this.find("replace-text").value);
    this.search({ stays: true });
    this.on.show(this.hits, this.hits[this.at] ?? null, true);
  }

  async _replaceAll() {
    const [query, replacement] = [this.find("find-query").value, this.find("replace-text").value];
    await this.on.replaceAll(query, replacement, this.find("find-case").checked, this.hits);
    this.search();
  }

  _onKey(event) {
    if (event.key === "Escape") {
      event.preventDefault();
      this.close();
    } else if (event.key === "Enter" && event.shiftKey) {
      event.preventDefault();
      this.step(-1);
    }
  }
}

/** "Replace 3 places in 2 segments?" */
export function replaceQuestion(hits, query, replacement) {
  const segments = new Set(hits.map(({ key }) => key)).size;
  const places = interpolate(ngettext("%(count)s place", "%(count)s places", hits.length), { count: hits.length });
  const where = interpolate(ngettext("%(count)s segment", "%(count)s segments", segments), { count: segments });
  return {
    title: interpolate(gettext("Replace “%(query)s”?"), { query }),
    text: interpolate(gettext("%(places)s in %(segments)s become “%(replacement)s”. Undo takes all of it back."), { places, segments: where, replacement }),
    yes: gettext("Replace all"),
  };
}
