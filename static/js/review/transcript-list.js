/** The rows of a transcript: made in chunks, so that thousands of them do not hold up the page. */

import { fillRow, makeRow } from "./passage-row.js";

const FIRST_ROWS = 60;
const ROWS_AT_ONCE = 150;

export class TranscriptList {
  /**
   * options: {language, view, threshold (null: none are marked), mayEdit}.
   * on: {play(id), word(id, number), edit(id), speaker(id), history(id), cursor(id)}.
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
    this._hits = { all: [], current: null };
  }

  connect() {
    this.list.addEventListener("click", (event) => this._onClick(event));
    this.list.addEventListener("dblclick", (event) => {
      const row = event.target.closest("[data-id]");
      if (row && event.target.closest("[data-text]")) this.on.edit(row.dataset.id);
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
    const at = this.index(id);
    if (at >= this._made) this._make(at + 1 - this._made);
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
      row = makeRow(this.template, passage, this.options);
      this.rows.set(passage.id, row);
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

  /** Fill every row anew. */
  refresh() {
    for (const passage of this.passages) {
      const row = this.rows.get(passage.id);
      if (row) this._fill(row, passage);
    }
    this._paintHits();
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
    this._hits = { all: hits, current };
    this._paintHits();
  }

  _paintHits() {
    if (!globalThis.Highlight) return; // the row is scrolled to all the same
    const { all, current } = this._hits;
    const ranges = (hits) => hits.map((hit) => this._range(hit)).filter(Boolean);
    CSS.highlights.set("find", new Highlight(...ranges(all.filter((hit) => hit !== current))));
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
    const rows = passages.map((passage) => makeRow(this.template, passage, this.options));
    passages.forEach((passage, i) => this.rows.set(passage.id, rows[i]));
    this.list.append(...rows);
    this._made += passages.length;
    this._tab(this.rows.get(this.cursorId), 0);
    this._makeLater();
  }

  _makeLater() {
    if (this._more !== null || this._made >= this.passages.length) return;
    this._more = setTimeout(() => {
      this._more = null;
      this._make(ROWS_AT_ONCE);
      if (this._hits.all.length) this._paintHits();
    });
  }

  _fill(row, passage) {
    if (row.classList.contains("is-editing")) return; // it is filled when the editor leaves
    fillRow(row, passage, this.options);
    if (this._current.row === row) this._current.word = null;
    this._tab(row, passage.id === this.cursorId ? 0 : -1);
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
    else if (has("w") && getSelection().isCollapsed) this.on.word(id, Number(has("w").dataset.w));
    if (!event.target.closest("button, a, textarea")) this.setCursor(id);
  }
}
