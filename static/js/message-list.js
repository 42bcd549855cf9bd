/** The log of messages on the page: rows that open to their JSON; filtered, paused, cleared and copied. */

import { copyText } from "./clipboard.js";
import { formatNumber } from "./format.js";
import { gettext, interpolate, ngettext } from "./i18n.js";
import { lineOf, matches, MAX_ENTRIES, MessageLog, prettyOf } from "./message-log.js";

const NEAR_END_PX = 32;
const ARROWS = { sent: "↑", received: "↓", note: "•" };

export class MessageList {
  /** find: elements of the page by their data name. announcer: speaks what was copied. */
  constructor(find, announcer) {
    this.find = find;
    this.announcer = announcer;
    this.log = new MessageLog();
    this.list = find("message-list");
    this.scroller = find("message-scroller");
    this.rows = new Map(); // entry's id -> its row
    this.isPaused = false;
    this.missed = 0; // messages that came while paused
  }

  connect() {
    this.find("message-kind").addEventListener("change", () => this.render());
    this.find("message-text").addEventListener("input", () => this.render());
    this.find("message-pause").addEventListener("click", () => this.setPaused(!this.isPaused));
    this.find("message-clear").addEventListener("click", () => this.clear());
    const copy = this.find("message-copy");
    copy.addEventListener("click", () => copyText(this.log.toText(this.filter), copy, this.announcer));
    this.showFoot();
  }

  get filter() {
    return { kind: this.find("message-kind").value, text: this.find("message-text").value };
  }

  add(message) {
    const { entry, isNew, dropped } = this.log.add(message, performance.now());
    if (this.isPaused) {
      this.missed += 1;
    } else {
      if (dropped) this._drop(dropped.id);
      if (isNew) this._append(entry);
      else this.rows.get(entry.id)?.update();
    }
    this.showFoot();
  }

  setPaused(isPaused) {
    this.isPaused = isPaused;
    this.find("message-pause").setAttribute("aria-pressed", String(isPaused));
    if (!isPaused && this.missed) this.render();
    this.missed = 0;
    this.showFoot();
  }

  clear() {
    this.log.clear();
    this.missed = 0;
    this.render();
  }

  render() {
    this.rows.clear();
    this.list.replaceChildren();
    for (const entry of this.log.entries) this._append(entry);
    this.showFoot();
  }

  showFoot() {
    const count = this.log.entries.length;
    this.find("message-empty").hidden = count > 0;
    this.find("message-clear").disabled = this.find("message-copy").disabled = !count;
    this.find("message-count").hidden = !count;
    this.find("message-count").textContent = String(count);
    this.find("message-foot").textContent = this._footText(count);
  }

  _footText(count) {
    if (this.isPaused) return interpolate(ngettext("Paused. %(count)s new message", "Paused. %(count)s new messages", this.missed), { count: this.missed });
    if (!count) return interpolate(gettext("The last %(count)s are kept."), { count: MAX_ENTRIES });
    const shown = this.rows.size;
    const text = ngettext("%(shown)s of %(count)s message shown; the last %(limit)s are kept.", "%(shown)s of %(count)s messages shown; the last %(limit)s are kept.", count);
    return interpolate(text, { shown, count, limit: MAX_ENTRIES });
  }

  _append(entry) {
    if (!matches(entry, this.filter)) return;
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    const row = new MessageRow(entry, this.announcer);
    this.rows.set(entry.id, row);
    this.list.append(row.element);
    if (isAtEnd) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  _drop(id) {
    this.rows.get(id)?.element.remove();
    this.rows.delete(id);
  }
}

/** One message. Its JSON is made only when the row is opened. */
class MessageRow {
  constructor(entry, announcer) {
    this.entry = entry;
    this.announcer = announcer;
    this.element = make("li", "message");
    this.element.dataset.direction = entry.direction;
    const hasJson = Boolean(entry.text) && entry.direction !== "note";
    const line = make(hasJson ? "summary" : "div", "message-line");
    this.size = make("span", "message-size number");
    this.preview = make("span", "message-preview mono");
    line.append(this._part("message-time number", (entry.atMs / 1000).toFixed(3)), ...this._direction(), this._part("message-name", entry.name), this.size, this.preview);
    this.update();
    this.element.append(hasJson ? this._details(line) : line);
  }

  update() {
    const { bytes, direction } = this.entry;
    this.size.textContent = direction === "note" ? "" : interpolate(gettext("%(count)s B"), { count: formatNumber(bytes) });
    this.preview.textContent = lineOf(this.entry);
  }

  _direction() {
    const { direction } = this.entry;
    const words = { sent: gettext("sent"), received: gettext("received"), note: gettext("connection") };
    const arrow = this._part("message-arrow", ARROWS[direction]);
    arrow.setAttribute("aria-hidden", "true");
    return [arrow, this._part("visually-hidden", words[direction])];
  }

  _details(summary) {
    const details = make("details", "");
    details.append(summary);
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) details.append(this._json());
    });
    return details;
  }

  _json() {
    const box = make("div", "message-json");
    const text = prettyOf(this.entry);
    const code = make("pre", "code");
    code.tabIndex = 0;
    code.dir = "ltr";
    code.textContent = text;
    const button = make("button", "button");
    button.type = "button";
    button.textContent = gettext("Copy");
    button.addEventListener("click", () => copyText(text, button, this.announcer));
    box.append(button, code);
    return box;
  }

  _part(className, text) {
    const part = make("span", className);
    part.textContent = text;
    return part;
  }
}

function make(tag, className) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  return element;
}
