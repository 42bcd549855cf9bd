/**
 * The rows of a transcript: made in chunks, so that thousands of them do not hold up the page. Each word has an element
 * of its own only in rows on or near the screen; the others hold their text.
 */

import { fillRow, makeRow } from "./passage-row.js";
import { RowsInSight } from "./rows-in-sight.js";

const FIRST_ROWS = 60;
const ROWS_AT_ONCE = 150;

export class TranscriptList {
  /**
   * options: {language, view, threshold (null: none are marked), mayEdit}.
   * on: {play(id), word(id, number), edit(id), twice(id), speaker(id), history(id), cursor(id)}; twice: a double click.
   */
  constructor(list, template, options, on) {
    this.list = list;
    this.template = template;
    this.options = options;
    this.on = on;
    this.passages = [];
    this.rows = new Map(); // id -> element
    this.cursorId = null; // the row where keys act
    this._current = { row: null, word: null };
    this._made = 0;
    this._more = null;
    this._hits = { byRow: new Map(), current: null };
    this._worded = new Set(); // rows whose words have elements
    this._stale = new Set(); // rows that show something else than they should
    this._sight = new RowsInSight((rows) => this._onSight(rows));
  }

  connect() {
    this.list.addEventListener("click", (event) => this._onClick(event));
    this.list.addEventListener("dblclick", (event) => {
      const row = event.target.closest("[data-id]");
      if (row && event.target.closest("[data-text]")) this.on.twice(row.dataset.id);
    });
    this.list.addEventListener("focusin", (event) => {
      const row = event.target.closest("[data-id]");
      if (row) this.setCursor(row.dataset.id);
    });
  }

  /** Show these; rows beyond the first screens are made a little later. */
  show(passages) {
    this.passages = passages;
    this.list.replaceChildren();
    this._sight.clear();
    this._worded.clear();
    this._stale.clear();
    this.rows.clear();
    this._current = { row: null, word: null };
    this._made = 0;
    this._make(FIRST_ROWS);
    this.setCursor(this.cursorId && this.index(this.cursorId) >= 0 ? this.cursorId : passages[0]?.id ?? null);
  }

  index(id) {
    return this.passages.findIndex((passage) => passage.id === id);
  }

  get(id) {
    return this.passages[this.index(id)] ?? null;
  }

  /** The row of a passage, made now if it was not; null where there is no such passage. */
  row(id) {
    if (!this.rows.has(id)) {
      const at = this.index(id);
      if (at >= this._made) this._make(at + 1 - this._made);
    }
    return this.rows.get(id) ?? null;
  }

  update(passage) {
    const at = this.index(passage.id);
    if (at < 0) return;
    this.passages[at] = passage;
    const row = this.rows.get(passage.id);
    if (row) this._fill(row, passage);
  }

  /** Rows for the passages of a changed list: new ones come, others go, the rest stays. */
  sync(passages, changedIds) {
    const kept = new Set(passages.map(({ id }) => id));
    for (const [id, row] of this.rows) {
      if (kept.has(id)) continue;
      row.remove();
      this.rows.delete(id);
      this._forget(row);
    }
    const at = this.passages.findIndex(({ id }) => id === this.cursorId);
    this.passages = passages;
    const changed = new Set(changedIds);
    let before = null;
    // Rows that were made stay made, and what is new among or beside them is made now.
    const madeTo = passages.findLastIndex(({ id }) => this.rows.has(id));
    for (let i = 0; i <= madeTo || changed.has(passages[i]?.id); i += 1) {
      before = this._place(passages[i], before, changed);
    }
    this._made = this.rows.size;
    if (!kept.has(this.cursorId)) this.setCursor(passages[Math.max(0, Math.min(at, passages.length - 1))]?.id ?? null);
    this._makeLater();
    this._paintHits();
  }

  _place(passage, before, changed) {
    let row = this.rows.get(passage.id);
    if (!row) {
      row = this._makeRow(passage);
      if (before) before.after(row);
      else this.list.prepend(row);
    } else if (changed.has(passage.id)) {
      this._fill(row, passage);
    }
    return row;
  }

  change(options) {
    this.options = { ...this.options, ...options };
    this.refresh();
  }

  /** Fill every row anew: those in sight now, the others a little later. */
  refresh() {
    this._stale = new Set(this.rows.values());
    for (const row of this._sight.rows) this._freshen(row);
    this._paintHits();
    this._makeLater();
  }

  setCursor(id) {
    if (id !== this.cursorId) this._tab(this.rows.get(this.cursorId), -1);
    this.cursorId = id;
    this._tab(this.rows.get(id), 0);
    this.on.cursor?.(id);
  }

  /** Keys go to this row. */
  focus(id) {
    const row = this.row(id);
    row?.focus({ preventScroll: true });
    row?.scrollIntoView({ block: "nearest" });
  }

  /** What is heard right now: at most two classes change. place: {key, word} or null. */
  setCurrent(id, word = null) {
    const row = id === null ? null : this.row(id);
    if (row && word !== null && !this._worded.has(row)) this._fill(row, this.get(id), true);
    const span = row && word !== null ? row.querySelector(`[data-w="${word}"]`) : null;
    const now = this._current;
    if (now.row !== row) {
      now.row?.classList.remove("is-current");
      row?.classList.add("is-current");
    }
    if (now.word !== span) {
      now.word?.classList.remove("is-word");
      span?.classList.add("is-word");
    }
    const hasMoved = now.row !== row;
    this._current = { row, word: span };
    return hasMoved;
  }

  /** hits: [{key, start, end}] in the text that is shown. current: one of them. */
  setHits(hits, current = null) {
    const byRow = new Map();
    for (const hit of hits) {
      if (!byRow.has(hit.key)) byRow.set(hit.key, []);
      byRow.get(hit.key).push(hit);
    }
    this._hits = { byRow, current };
    this._paintHits();
  }

  /** Only in rows in sight: thousands of marks would cost more than they show. */
  _paintHits() {
    if (!globalThis.Highlight) return; // the row is scrolled to all the same
    const { byRow, current } = this._hits;
    const ranges = (hits) => hits.map((hit) => this._range(hit)).filter(Boolean);
    const hits = byRow.size ? [...this._sight.rows].flatMap((row) => byRow.get(row.dataset.id) ?? []) : [];
    CSS.highlights.set("find", new Highlight(...ranges(hits.filter((hit) => hit !== current))));
    CSS.highlights.set("find-current", new Highlight(...ranges(current ? [current] : [])));
  }

  _range({ key, start, end }) {
    const paragraph = this.rows.get(key)?.querySelector("[data-text]");
    if (!paragraph) return null;
    const range = new Range();
    const texts = document.createTreeWalker(paragraph, NodeFilter.SHOW_TEXT);
    let at = 0;
    let hasStart = false;
    for (let node = texts.nextNode(); node; node = texts.nextNode()) {
      const next = at + node.length;
      if (!hasStart && start < next) {
        range.setStart(node, start - at);
        hasStart = true;
      }
      if (hasStart && end <= next) {
        range.setEnd(node, end - at);
        return range;
      }
      at = next;
    }
    return null;
  }

  _make(count) {
    const passages = this.passages.slice(this._made, this._made + count);
    this.list.append(...passages.map((passage) => this._makeRow(passage)));
    this._made += passages.length;
    this._tab(this.rows.get(this.cursorId), 0);
    this._makeLater();
  }

  _makeRow(passage) {
    const row = makeRow(this.template, passage, this.options);
    this.rows.set(passage.id, row);
    this._sight.add(row);
    return row;
  }

  _makeLater() {
    if (this._more !== null || (this._made >= this.passages.length && !this._stale.size)) return;
    this._more = setTimeout(() => {
      this._more = null;
      if (this._made < this.passages.length) this._make(ROWS_AT_ONCE);
      else for (const row of [...this._stale].slice(0, ROWS_AT_ONCE)) this._freshen(row);
      this._makeLater();
    });
  }

  /** Rows that came near the screen. */
  _onSight(rows) {
    for (const row of rows) if (!this._worded.has(row) || this._stale.has(row)) this._freshen(row);
    if (this._hits.byRow.size) this._paintHits();
  }

  _freshen(row) {
    const passage = this.get(row.dataset.id);
    if (passage) this._fill(row, passage);
    this._stale.delete(row);
  }

  _fill(row, passage, withWords = this._sight.has(row)) {
    if (row.classList.contains("is-editing")) return; // it is filled when the editor leaves
    fillRow(row, passage, this.options, { withWords });
    if (withWords) this._worded.add(row);
    else this._worded.delete(row);
    this._stale.delete(row);
    if (this._current.row === row) this._current.word = null;
    this._tab(row, passage.id === this.cursorId ? 0 : -1);
  }

  _forget(row) {
    this._sight.remove(row);
    this._worded.delete(row);
    this._stale.delete(row);
  }

  /** One stop of the Tab key for the whole list, and within its row the buttons. */
  _tab(row, index) {
    if (!row) return;
    row.tabIndex = index;
    for (const button of row.querySelectorAll("button")) button.tabIndex = index;
  }

  _onClick(event) {
    const row = event.target.closest("[data-id]");
    if (!row || event.target.closest("textarea")) return;
    const id = row.dataset.id;
    const has = (name) => event.target.closest(`[data-${name}]`);
    if (has("row-play")) this.on.play(id);
    else if (has("row-edit")) this.on.edit(id);
    else if (has("row-speaker")) this.on.speaker(id);
    else if (has("row-history")) this.on.history(id);
    else if (has("w") && event.detail < 2 && getSelection().isCollapsed) this.on.word(id, Number(has("w").dataset.w));
    if (!event.target.closest("button, a, textarea")) this.setCursor(id);
  }
}
