/** The filter bar of the live page: its fields, and the page's query, which always say the same. */

import { filterWords, readFilter, sourcesOf, sourceWords, writeFilter } from "./live-filter.js";

export class LiveFilterBar {
  /** onChange(filter): after every change of what is asked for. */
  constructor(root, onChange) {
    this.root = root;
    this.find = (name) => root.querySelector(`[data-${name}]`);
    this.onChange = onChange;
    this.chips = [...root.querySelectorAll("[data-chip]")];
    this.filter = readFilter(location.search);
  }

  connect() {
    this.root.addEventListener("submit", (event) => event.preventDefault());
    this.find("search").addEventListener("input", ({ target }) => this.change({ q: target.value.trim() }));
    this.find("search").addEventListener("keydown", (event) => {
      if (event.key === "Escape") event.target.blur();
    });
    for (const chip of this.chips) chip.addEventListener("click", () => this.change({ state: chip.dataset.chip }));
    for (const name of ["language", "source", "sort"]) {
      this.find(name).addEventListener("change", ({ target }) => this.change({ [name]: target.value }));
    }
    this.find("mine").addEventListener("change", ({ target }) => this.change({ mine: target.checked }));
    this.find("search").value = this.filter.q;
    this.find("mine").checked = this.filter.mine;
    this.find("sort").value = this.filter.sort;
    if (!this.chips.some(({ dataset }) => dataset.chip === this.filter.state)) this.filter.state = "";
    this.offer([]);
    this.change({});
  }

  focusSearch() {
    this.find("search").focus();
  }

  clear() {
    this.find("search").value = this.find("language").value = this.find("source").value = "";
    this.find("mine").checked = false;
    this.change({ q: "", state: "", language: "", source: "", mine: false });
  }

  change(changes) {
    this.filter = { ...this.filter, ...changes };
    for (const chip of this.chips) chip.setAttribute("aria-pressed", String(chip.dataset.chip === this.filter.state));
    const query = writeFilter(this.filter);
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
    this.onChange(this.filter);
  }

  /** The languages and sources that there are, and the ones that are asked for. rows: what is known of the sessions. */
  offer(rows) {
    this._fill("language", rows.map(({ language }) => language), (language) => language);
    this._fill("source", rows.flatMap(sourcesOf), sourceWords);
  }

  /** counts: {state: number}, "" for all. A chip of a state that is seldom is there when it is needed. */
  showCounts(counts) {
    for (const chip of this.chips) {
      const count = counts[chip.dataset.chip] ?? 0;
      chip.querySelector("[data-chip-count]").textContent = String(count);
      if ("seldom" in chip.dataset) chip.hidden = !count && this.filter.state !== chip.dataset.chip;
    }
  }

  get words() {
    return filterWords(this.filter);
  }

  _fill(name, values, wordsOf) {
    const select = this.find(name);
    const wanted = [...new Set([...values, this.filter[name]].filter(Boolean))].sort();
    const there = [...select.options].slice(1).map(({ value }) => value);
    // An open list must not change under the pointer.
    if (wanted.join("\n") !== there.join("\n") && document.activeElement !== select) {
      while (select.options.length > 1) select.options[1].remove();
      for (const value of wanted) select.add(new Option(wordsOf(value), value));
    }
    select.value = this.filter[name];
  }
}
