/** Beside the transcript: speakers with their talk time, notes and bookmarks, how good the recogniser was. */

import { formatDuration, formatLength, formatNumber } from "../format.js";
import { gettext, interpolate, ngettext, pageLanguage } from "../i18n.js";
import { speakerName } from "./passage-row.js";

const FIGURES_AFTER_MS = 1_500;

export class Side {
  /** page: {root, api, transcript, bar, dialogs, mayEdit()}. on: {seek(ms), speaker(id), say(message)}. */
  constructor(page, on) {
    Object.assign(this, page);
    this.on = on;
    this.find = (name) => this.root.querySelector(`[data-${name}]`);
    this.notes = [];
    this._timer = null;
  }

  connect() {
    this.transcript.addEventListener("changed", () => this.showSpeakers());
    this.find("add-note")?.addEventListener("click", () => this.addNote(this.position()));
    this.find("notes-list").addEventListener("click", (event) => this._onNoteClick(event));
    this.find("speakers-list").addEventListener("click", (event) => {
      const id = event.target.closest("[data-first]")?.dataset.first;
      if (id) this.on.speaker(id);
    });
    this.showSpeakers();
    this.loadNotes();
    this.loadFigures();
  }

  /** Ask for the figures again, once changes have come to rest. */
  refreshSoon() {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this.loadFigures(), FIGURES_AFTER_MS);
  }

  showSpeakers() {
    const talk = new Map(); // name -> {ms, first}
    for (const { speaker, startMs, endMs, id } of this.transcript.passages) {
      const { ms, first } = talk.get(speaker) ?? { ms: 0, first: id };
      talk.set(speaker, { ms: ms + Math.max(0, endMs - startMs), first });
    }
    const isKnown = [...talk.keys()].some(Boolean);
    this.find("speakers").hidden = !isKnown && !this.mayEdit();
    const named = [...talk].filter(([name]) => name);
    const rows = [...named, ...[...talk].filter(([name]) => !name)].map(([name, { ms, first }], i) => this._speaker(name, ms, first, i));
    this.find("speakers-list").replaceChildren(...rows);
  }

  async loadNotes() {
    try {
      this.notes = (await this.api.notes()).notes;
      this._showNotes();
    } catch {
      // They are asked for again with the next visit.
    }
  }

  async loadFigures() {
    try {
      this._showFigures(await this.api.figures());
    } catch {
      // What is shown stays.
    }
  }

  /** A bookmark at a time, at once; its words can be added later. */
  async bookmark(ms) {
    if (!this.mayNote) return;
    await this._change(() => this.api.addNote(ms, ""));
    this.on.say(interpolate(gettext("Bookmark at %(time)s"), { time: formatDuration(ms) }));
  }

  async addNote(ms) {
    const text = await this.dialogs.note.ask({ title: interpolate(gettext("Note at %(time)s"), { time: formatDuration(ms) }) });
    if (text !== null) await this._change(() => this.api.addNote(ms, text));
  }

  get mayNote() {
    return Boolean(this.find("add-note"));
  }

  async _onNoteClick(event) {
    const id = Number(event.target.closest("[data-note-id]")?.dataset.noteId);
    const note = this.notes.find((other) => other.id === id);
    if (!note) return;
    if (event.target.closest("[data-note-go]")) this.on.seek(note.time_ms);
    else if (event.target.closest("[data-note-remove]")) await this._change(() => this.api.removeNote(id));
    else if (event.target.closest("[data-note-edit]")) {
      const text = await this.dialogs.note.ask({ title: gettext("Note"), text: note.text });
      if (text !== null) await this._change(() => this.api.changeNote(id, text));
    }
  }

  async _change(ask) {
    try {
      await ask();
    } catch (error) {
      this.on.say(interpolate(gettext("Not saved: %(message)s"), { message: error.message }), "danger");
    }
    await this.loadNotes();
  }

  _showNotes() {
    this.bar?.wave.mark({ bookmarks: this.notes.map((note) => ({ startMs: note.time_ms })) });
    this.find("notes-list").replaceChildren(...this.notes.map((note) => this._note(note)));
    this.find("notes-empty").hidden = this.notes.length > 0;
  }

  _note(note) {
    const item = make("li", { dataset: { noteId: String(note.id) } });
    const time = make("button", { type: "button", className: "button small number", textContent: formatDuration(note.time_ms), dataset: { noteGo: "" } });
    const who = make("span", { className: "small muted", textContent: note.by });
    item.append(time, who);
    if (this.mayNote) {
      const about = { time: formatDuration(note.time_ms) };
      const edit = make("button", { type: "button", className: "button small push", textContent: gettext("Edit"), dataset: { noteEdit: "" } });
      edit.setAttribute("aria-label", interpolate(gettext("Edit the note at %(time)s"), about));
      const remove = make("button", { type: "button", className: "button small", textContent: gettext("Delete"), dataset: { noteRemove: "" } });
      remove.setAttribute("aria-label", interpolate(gettext("Delete the note at %(time)s"), about));
      item.append(edit, remove);
    }
    if (note.text) item.append(make("p", { className: "note-words", dir: "auto", textContent: note.text }));
    return item;
  }

  _speaker(name, ms, first, number) {
    const item = make("li");
    const label = make("strong", { dir: "auto", textContent: speakerName(name) || gettext("Nobody named") });
    item.append(label, make("span", { className: "small muted number", textContent: formatLength(ms) }));
    if (name && number < 9 && this.mayEdit()) item.prepend(make("kbd", { textContent: String(number + 1) }));
    if (this.mayEdit()) {
      const button = make("button", { type: "button", className: "button small push", textContent: gettext("Rename"), dataset: { first } });
      button.setAttribute("aria-label", interpolate(gettext("Rename %(name)s"), { name: label.textContent }));
      item.append(button);
    }
    return item;
  }

  _showFigures({ mean_confidence: confidence, words_per_minute: rate, edited_segments: edited, changes, doubtful_words: doubtful, word_error_rate: errors }) {
    const share = (value) => new Intl.NumberFormat(pageLanguage(), { style: "percent", maximumFractionDigits: 1 }).format(value);
    const texts = {
      confidence: confidence === null ? "–" : formatNumber(confidence, 2),
      rate: rate === null ? "–" : String(Math.round(rate)),
      edits: `${interpolate(ngettext("%(count)s segment", "%(count)s segments", edited), { count: edited })}, ${interpolate(ngettext("%(count)s change", "%(count)s changes", changes), { count: changes })}`,
      doubtful: String(doubtful),
      errors: errors === null ? "–" : share(errors),
    };
    for (const [name, text] of Object.entries(texts)) this.find(`figure-${name}`).textContent = text;
    this.find("figures").hidden = false;
  }
}

function make(name, { dataset = {}, ...fields } = {}) {
  const element = Object.assign(document.createElement(name), fields);
  Object.assign(element.dataset, dataset);
  return element;
}
