/** The live table: rows by session id, in the order that was asked for, standing still while somebody is in it. */

import { isShown, orderOf, readFilter } from "./live-filter.js";
import { LiveRow } from "./live-row.js";

export class LiveTable {
  /**
   * area: rows stand still while the pointer or the focus is in it; body: the rows, somewhere in it. onChange(): called
   * whenever what is shown may have changed. sessionUrl(id): the session's page. inSight: an InSight that is told of the
   * rows. limits: as of LiveRow. userId: who looks, or null.
   */
  constructor({ area, body, template, sessionUrl, onChange, inSight, limits, userId = null }) {
    Object.assign(this, { area, body, template, sessionUrl, onChange, inSight, limits, userId });
    this.rows = new Map();
    this.waiting = new Map(); // new sessions, while the pointer or focus is in the table
    this.filter = readFilter("");
    this.lastEnded = null; // {name, url, at} of the session that went last
    this.active = null;
  }

  connect() {
    this.body.addEventListener("focusin", (event) => this._activate(event.target.closest("tr")));
    this.area.addEventListener("pointerleave", () => queueMicrotask(() => this._settle()));
    this.area.addEventListener("focusout", ({ relatedTarget }) => {
      // From row to row the focus is nowhere for a moment.
      if (!this.area.contains(relatedTarget)) queueMicrotask(() => this._settle());
    });
  }

  /** Replaces everything. */
  replace(sessions) {
    const ids = new Set(sessions.map(({ session_id: id }) => id));
    for (const id of [...this.rows.keys(), ...this.waiting.keys()]) if (!ids.has(id)) this._remove(id);
    this.merge(sessions, []);
  }

  merge(sessions, ended) {
    for (const id of ended) this._remove(id);
    const known = sessions.filter(({ session_id: id }) => this.rows.has(id));
    const fresh = sessions.filter(({ session_id: id }) => !this.rows.has(id));
    for (const data of known) this.rows.get(data.session_id).update(data);
    for (const data of fresh) this.waiting.set(data.session_id, data);
    if (!this.isInUse || !this.rows.size) this.showWaiting();
    this.apply();
  }

  get isInUse() {
    return this.area.matches(":hover") || this.area.contains(document.activeElement);
  }

  get size() {
    return this.rows.size + this.waiting.size;
  }

  get shown() {
    return [...this.rows.values()].filter((row) => !row.element.hidden);
  }

  showWaiting() {
    for (const data of this.waiting.values()) this._add(data);
    this.waiting.clear();
    this.apply();
  }

  setFilter(filter) {
    const isReordered = filter.sort !== this.filter.sort;
    this.filter = filter;
    if (isReordered) this._order();
    this.apply();
  }

  /** What is known of all sessions, those that wait to be shown included. */
  get data() {
    return [...this.rows.values()].map(({ data }) => data).concat(...this.waiting.values());
  }

  /** How many rows there are of each state, whatever the filter. */
  countStates() {
    const counts = { "": this.rows.size };
    for (const row of this.rows.values()) counts[row.state] = (counts[row.state] ?? 0) + 1;
    return counts;
  }

  apply() {
    for (const row of this.rows.values()) row.element.hidden = !isShown(this.filter, row.data, row.state, this.userId);
    this._keepOneTabStop();
    this.onChange();
  }

  tick(nowMs) {
    for (const row of this.rows.values()) row.tick(nowMs);
    if (!this.isInUse) this._order();
  }

  /** Move the focus by rows; from outside the table to its first or last row. */
  move(step) {
    const elements = [...this.body.children].filter((element) => !element.hidden);
    const at = elements.indexOf(this.active);
    const next = at < 0 || !this.body.contains(document.activeElement) ? (step > 0 ? 0 : elements.length - 1) : at + step;
    elements[Math.max(0, Math.min(elements.length - 1, next))]?.focus();
  }

  focusFirst() {
    [...this.body.children].find((element) => !element.hidden)?.focus();
  }

  get activeRow() {
    return this.body.contains(document.activeElement) ? (this.rows.get(this.active?.dataset.id) ?? null) : null;
  }

  row(element) {
    return this.rows.get(element.closest("tr")?.dataset.id) ?? null;
  }

  _add(data) {
    const row = new LiveRow(this.template, this.sessionUrl(data.session_id), this.limits);
    row.update(data);
    this.rows.set(data.session_id, row);
    const order = orderOf(this.filter.sort);
    const later = [...this.body.children].find((element) => order(this.rows.get(element.dataset.id).data, data) > 0);
    this.body.insertBefore(row.element, later ?? null);
    this.inSight?.add(row.element);
  }

  /** Moves only rows that are out of place: each move costs a layout. */
  _order() {
    const order = orderOf(this.filter.sort);
    const rows = [...this.rows.values()].sort((a, b) => order(a.data, b.data));
    rows.forEach((row, index) => {
      const there = this.body.children[index];
      if (there !== row.element) this.body.insertBefore(row.element, there ?? null);
    });
  }

  _remove(id) {
    this.waiting.delete(id);
    const row = this.rows.get(id);
    if (row) this.lastEnded = { name: row.name, url: row.sessionUrl, at: new Date() };
    const element = row?.element;
    if (element) this.inSight?.remove(element);
    element?.remove();
    this.rows.delete(id);
  }

  _settle() {
    if (this.waiting.size && !this.isInUse) this.showWaiting();
  }

  _activate(element) {
    this.active = element;
    this._keepOneTabStop();
  }

  /** A roving tab stop: one row can be reached by Tab, the others by j and k. */
  _keepOneTabStop() {
    const elements = [...this.body.children].filter((element) => !element.hidden);
    if (!elements.includes(this.active)) this.active = elements[0] ?? null;
    for (const element of elements) element.tabIndex = element === this.active ? 0 : -1;
  }
}
