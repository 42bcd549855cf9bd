/** Tabs: one stop of the Tab key, arrows, Home and End between them (the pattern of the ARIA guide). */

export class Tabs {
  /** list: the role="tablist" element. onSelect: called with the tab that was chosen. */
  constructor(list, onSelect = () => {}) {
    this.list = list;
    this.tabs = [...list.querySelectorAll('[role="tab"]')];
    this.onSelect = onSelect;
  }

  connect() {
    for (const tab of this.tabs) tab.addEventListener("click", () => this.select(tab));
    this.list.addEventListener("keydown", (event) => this._onKey(event));
  }

  get selected() {
    return this.tabs.find((tab) => tab.getAttribute("aria-selected") === "true");
  }

  select(chosen) {
    for (const tab of this.tabs) {
      const isChosen = tab === chosen;
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
    }
    for (const tab of this.tabs) this._panel(tab).hidden = this._panel(tab) !== this._panel(chosen);
    this._panel(chosen).setAttribute("aria-labelledby", chosen.id);
    this.onSelect(chosen);
  }

  _panel(tab) {
    return document.getElementById(tab.getAttribute("aria-controls"));
  }

  _onKey(event) {
    const at = this.tabs.indexOf(this.selected);
    const forward = getComputedStyle(this.list).direction === "rtl" ? -1 : 1;
    const steps = { ArrowRight: at + forward, ArrowLeft: at - forward, Home: 0, End: this.tabs.length - 1 };
    if (!(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const next = this.tabs.at(steps[event.key] % this.tabs.length);
    this.select(next);
    next.focus();
  }
}
