/** Editing one segment in place, in a field that grows. It changes nothing itself: what is wanted goes to `on`. */

import { formatDuration } from "../format.js";
import { gettext } from "../i18n.js";

const TYPING_ENDS_MS = 1_000;

export class Editor {
  /**
   * on: {save(id, text, {goOn}), split(id, before, after), merge(id, text), cancel(id), typing(), rest()}.
   * typing: keys arrive; rest: none for a second, or the editor closed.
   */
  constructor(on) {
    this.on = on;
    this.id = null;
    this.field = null;
    this._timer = null;
  }

  get isOpen() {
    return this.field !== null;
  }

  /** Whether something was typed that is not saved. */
  get isChanged() {
    return this.isOpen && this.field.value.trim() !== this.passage.text;
  }

  get text() {
    return this.field?.value.trim() ?? "";
  }

  /** caret: where it stands; the end without it. text: another than the passage's, after a conflict. */
  open(passage, row, { caret = null, text = passage.text } = {}) {
    this.passage = passage;
    this.id = passage.id;
    this.row = row;
    this.field = document.createElement("textarea");
    this.field.value = text;
    this.field.rows = 1;
    this.field.dir = "auto";
    this.field.lang = passage.language || "";
    this.field.spellcheck = true;
    this.field.setAttribute("aria-label", gettext("Text of the segment"));
    this.buttons = this._makeButtons();
    this.paragraph = row.querySelector("[data-text]");
    this.paragraph.hidden = true;
    this.paragraph.after(this.field, this.buttons);
    row.classList.add("is-editing");
    this.field.addEventListener("input", () => this._onInput());
    this.field.addEventListener("keydown", (event) => this._onKey(event));
    this._grow();
    this.field.focus({ preventScroll: true });
    const at = caret ?? text.length;
    this.field.setSelectionRange(at, at);
    row.scrollIntoView({ block: "nearest" });
  }

  /** Take the field away; the row has to be filled anew. */
  close() {
    if (!this.isOpen) return;
    clearTimeout(this._timer);
    this.field.remove();
    this.buttons.remove();
    this.paragraph.hidden = false;
    this.row.classList.remove("is-editing");
    this.field = null;
    this.id = null;
    this.on.rest();
  }

  insertTime(ms) {
    this.field.setRangeText(`[${formatDuration(ms)}] `, this.field.selectionStart, this.field.selectionEnd, "end");
    this._onInput();
  }

  _makeButtons() {
    const buttons = document.createElement("div");
    buttons.className = "editor-buttons";
    const add = (label, isPrimary, action) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = isPrimary ? "button small primary" : "button small";
      button.textContent = label;
      button.addEventListener("click", action);
      buttons.append(button);
    };
    add(gettext("Save"), true, () => this.on.save(this.id, this.text, { goOn: false }));
    add(gettext("Split here"), false, () => this._split());
    add(gettext("Cancel"), false, () => this.on.cancel(this.id));
    return buttons;
  }

  _onInput() {
    this._grow();
    this.on.typing();
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this.on.rest(), TYPING_ENDS_MS);
  }

  _grow() {
    this.field.style.blockSize = "auto";
    this.field.style.blockSize = `${this.field.scrollHeight + 2}px`;
  }

  _onKey(event) {
    if (event.isComposing) return; // Enter chooses among what an input method offers
    const { key, ctrlKey, metaKey, shiftKey, altKey } = event;
    if (key === "Escape") this._take(event, () => this.on.cancel(this.id));
    else if (key === "Enter" && (ctrlKey || metaKey)) this._take(event, () => this._split());
    else if (key === "Enter" && !shiftKey && !altKey) this._take(event, () => this.on.save(this.id, this.text, { goOn: true }));
    else if (key === "Backspace" && this._isAtStart && !ctrlKey && !altKey && !metaKey && !event.repeat) {
      this._take(event, () => this.on.merge(this.id, this.text));
    }
  }

  get _isAtStart() {
    return this.field.selectionStart === 0 && this.field.selectionEnd === 0;
  }

  _take(event, action) {
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  _split() {
    const at = this.field.selectionStart;
    const [before, after] = [this.field.value.slice(0, at).trim(), this.field.value.slice(at).trim()];
    this.on.split(this.id, before, after);
  }
}
