/** Who changed what and when, with what it was before and a way back. */

import { formatDuration } from "../format.js";
import { gettext, interpolate, ngettext } from "../i18n.js";
import { localiseTimes } from "../times.js";
import { speakerName } from "./passage-row.js";

export class HistoryDrawer {
  /**
   * on: {restore(number), restoreText(id, text)}, promises. mayEdit(): whether anything may be restored now.
   * timeOf(id): where a segment begins, null where it is no more.
   */
  constructor(dialog, api, { on, mayEdit, timeOf, title }) {
    this.dialog = dialog;
    this.find = (name) => dialog.querySelector(`[data-history-${name}]`);
    this.api = api;
    this.on = on;
    this.mayEdit = mayEdit;
    this.timeOf = timeOf;
    this.title = title;
    this.before = null;
    this.passage = null;
  }

  connect() {
    this.find("close").addEventListener("click", () => this.dialog.close());
    this.find("more").addEventListener("click", () => this._load());
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close(); // beside it
    });
  }

  /** passage: of one segment alone; null: of the whole transcript. */
  async open(passage = null) {
    this.passage = passage;
    this.before = null;
    this.find("title").textContent = passage ? interpolate(gettext("History of the segment at %(time)s"), { time: passage.time }) : this.title;
    this.find("list").replaceChildren();
    this.find("empty").hidden = true;
    if (!this.dialog.open) this.dialog.showModal();
    await this._load();
  }

  async _load() {
    const more = this.find("more");
    more.disabled = true;
    try {
      let page;
      let shown = [];
      do {
        page = await this.api.history(this.before);
        this.before = page.next;
        shown = page.entries.filter((entry) => this._concerns(entry));
      } while (!shown.length && page.next !== null);
      this.find("list").append(...shown.map((entry) => this._item(entry)));
      localiseTimes(this.find("list"));
      this._showEnd(page.next === null);
    } catch (error) {
      this._tell(interpolate(gettext("The history cannot be read right now: %(message)s"), { message: error.message }));
    } finally {
      more.disabled = false;
    }
  }

  _concerns(entry) {
    return !this.passage || entry.segments.some((segment) => segment.segment_id === this.passage.id);
  }

  _showEnd(isEnd) {
    this.find("more").hidden = isEnd;
    const isEmpty = !this.find("list").children.length;
    if (isEnd && isEmpty) this._tell(gettext("Nobody has changed anything: this is as it was recognised."));
    else if (isEnd && !this.passage && this.mayEdit()) this.find("list").append(this._beginning());
  }

  _tell(text) {
    this.find("empty").textContent = text;
    this.find("empty").hidden = false;
  }

  _item(entry) {
    const item = document.createElement("li");
    const head = element("p", "", [element("strong", "", entry.label)]);
    const time = element("time", "", entry.at);
    time.dateTime = entry.at;
    item.append(head, element("p", "small muted", [entry.by, " · ", time]));
    const segments = this.passage ? entry.segments.filter(({ segment_id: id }) => id === this.passage.id) : entry.segments;
    for (const segment of segments) item.append(...this._changes(segment));
    const rest = entry.segment_count - entry.segments.length;
    if (!this.passage && rest > 0) {
      const words = ngettext("and %(count)s more segment", "and %(count)s more segments", rest);
      item.append(element("p", "small muted", interpolate(words, { count: rest })));
    }
    if (this.mayEdit()) item.append(this._restoreButton(entry, segments[0]));
    return item;
  }

  _changes({ segment_id: id, diff, old, new: now }) {
    const parts = [];
    if (diff.length) {
      const paragraph = element("p", "", diff.flatMap(({ kind, text }) => (kind === "same" ? [text] : [element(kind === "added" ? "ins" : "del", "", text.trimEnd()), " "])));
      const at = this.passage ? null : this.timeOf(id);
      if (at !== null) paragraph.prepend(element("span", "number small muted", formatDuration(at)), " ");
      paragraph.dir = "auto";
      parts.push(paragraph);
    }
    // Of a segment that came or went its text says enough.
    if (old && now && old.speaker !== now.speaker) {
      const values = { before: speakerName(old.speaker) || gettext("nobody"), after: speakerName(now.speaker) || gettext("nobody") };
      parts.push(element("p", "small", interpolate(gettext("Speaker: %(before)s → %(after)s"), values)));
    }
    return parts;
  }

  _restoreButton(entry, segment) {
    const text = segment?.new?.text;
    if (this.passage && typeof text === "string") {
      return this._button(gettext("Restore this text"), () => this.on.restoreText(this.passage.id, text));
    }
    return this._button(gettext("Restore to here"), () => this.on.restore(entry.number));
  }

  _beginning() {
    const item = element("li", "", [element("p", "", [element("strong", "", gettext("As it was recognised"))])]);
    item.append(this._button(gettext("Restore to here"), () => this.on.restore(0)));
    return item;
  }

  _button(label, action) {
    const button = element("button", "button small", label);
    button.type = "button";
    button.addEventListener("click", async () => {
      button.disabled = true;
      await action();
      this.dialog.close();
    });
    return element("div", "", [button]);
  }
}

/** content: a text or nodes. */
function element(name, className, content) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...(Array.isArray(content) ? content : [content]));
  return made;
}
