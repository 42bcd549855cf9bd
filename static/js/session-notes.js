/** Bookmarks and notes of a session while it is live: kept by the server, at the time of the audio at which they were made. */

import { formatDuration } from "./format.js";
import { gettext } from "./i18n.js";

/** Others mark the same session; theirs are asked for. */
const EVERY_MS = 5000;
const TIMEOUT_MS = 10_000;

export class SessionNotes {
  /** section: with [data-notes-url]. audioMs(): how much audio there is now. announce(text): for screen readers. */
  constructor(section, { audioMs, announce }) {
    Object.assign(this, { section, audioMs, announce });
    this.find = (name) => section.querySelector(`[data-${name}]`);
    this.url = section.dataset.notesUrl;
  }

  connect() {
    this.find("note-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.addNote();
    });
    this.refresh();
    setInterval(() => this.refresh(), EVERY_MS);
  }

  /** A place to come back to, in one key press. */
  bookmark() {
    return this._add({ kind: "bookmark", time_ms: this.audioMs(), text: "" }, gettext("Bookmark added."));
  }

  async addNote() {
    const field = this.find("note-text");
    const text = field.value.trim();
    if (!text) return;
    if (await this._add({ kind: "note", time_ms: this.audioMs(), text }, gettext("Note added."))) field.value = "";
  }

  async refresh() {
    if (document.visibilityState !== "visible") return;
    const answer = await this._ask("GET", this.url);
    if (answer) this.show(answer.notes);
  }

  show(notes) {
    this.find("no-notes").hidden = notes.length > 0;
    this.find("notes-list").replaceChildren(...notes.map((note) => this._item(note)));
  }

  async _add(note, said) {
    const answer = await this._ask("POST", this.url, note);
    this.find("note-error").hidden = Boolean(answer);
    if (!answer) return false;
    this.announce(said);
    await this.refresh();
    return true;
  }

  async _ask(method, url, body = null) {
    const token = this.find("note-form").elements.csrfmiddlewaretoken.value;
    const headers = { Accept: "application/json", ...(body && { "Content-Type": "application/json" }), "X-CSRFToken": token };
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const response = await fetch(url, { method, headers, signal, ...(body && { body: JSON.stringify(body) }) });
      return response.ok ? await response.json().catch(() => ({})) : null;
    } catch {
      return null;
    }
  }

  _item({ kind, time_ms: timeMs, text, by }) {
    const item = document.createElement("li");
    const time = Object.assign(document.createElement("span"), { className: "number small muted", textContent: formatDuration(timeMs) });
    const words = Object.assign(document.createElement("span"), { dir: "auto" });
    words.textContent = text || (kind === "bookmark" ? gettext("Bookmark") : "");
    const who = Object.assign(document.createElement("span"), { className: "small muted", textContent: by ?? "" });
    item.append(time, " ", words, " ", who);
    return item;
  }
}
