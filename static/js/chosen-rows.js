/** Choosing rows of the list: all at once, how many there are, and what can be done only when there are any. */

import { gettext, interpolate, ngettext } from "./i18n.js";

export class ChosenRows {
  /** form: around the table and the bar of actions. */
  constructor(form) {
    this.boxes = [...form.querySelectorAll("input[name=chosen]")];
    this.bar = form.querySelector("[data-chosen-bar]");
    this.count = form.querySelector("[data-chosen-count]");
    this.allLabel = form.querySelector("[data-choose-all]");
    this.all = this.allLabel.querySelector("input");
  }

  connect() {
    this.allLabel.hidden = false;
    this.allLabel.parentElement.querySelector("[data-choose-title]").remove();
    this.all.addEventListener("change", () => {
      for (const box of this.boxes) box.checked = this.all.checked;
      this.show();
    });
    for (const box of this.boxes) box.addEventListener("change", () => this.show());
    // Browsers keep ticks when one comes back to the page.
    addEventListener("pageshow", () => this.show());
    this.show();
  }

  show() {
    const chosen = this.boxes.filter((box) => box.checked).length;
    this.all.checked = chosen > 0 && chosen === this.boxes.length;
    this.all.indeterminate = chosen > 0 && chosen < this.boxes.length;
    this.bar.hidden = chosen === 0;
    this.count.textContent = interpolate(ngettext("%(count)s chosen", "%(count)s chosen", chosen), { count: chosen });
  }
}

const form = document.querySelector("[data-chosen-form]");
if (form?.querySelector("[data-chosen-bar]")) new ChosenRows(form).connect();
