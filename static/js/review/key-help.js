/** The dialog of all keys, where those for editing can be chosen anew. */

import { chordOf } from "./key-bindings.js";

export class KeyHelp {
  constructor(dialog, opener, bindings) {
    this.dialog = dialog;
    this.opener = opener;
    this.bindings = bindings;
    this.fields = [...dialog.querySelectorAll("[data-binding]")];
  }

  connect() {
    this.opener.addEventListener("click", () => {
      this._show();
      this.dialog.showModal();
    });
    for (const field of this.fields) {
      field.addEventListener("focus", () => field.select());
      field.addEventListener("keydown", (event) => this._onKey(event, field));
    }
    this.dialog.querySelector("[data-bindings-reset]")?.addEventListener("click", () => {
      this.bindings.reset();
      this._show();
    });
  }

  _onKey(event, field) {
    const chord = chordOf(event);
    // What leads on through the dialog and out of it stays.
    if (!chord || ["Tab", "Shift+Tab", "Escape"].includes(chord)) return;
    event.preventDefault();
    const isTaken = this.bindings.bind(field.dataset.binding, chord);
    field.toggleAttribute("aria-invalid", !isTaken);
    if (isTaken) this._show();
  }

  _show() {
    for (const field of this.fields) {
      field.value = chordOnKeys(this.bindings.chordFor(field.dataset.binding)) || "–";
      field.removeAttribute("aria-invalid");
    }
  }
}

/** As it stands on the keys: "Ctrl+j" is written Ctrl+J. */
function chordOnKeys(chord) {
  return chord.replace(/\+(.)$/, (whole, character) => `+${character.toUpperCase()}`);
}
