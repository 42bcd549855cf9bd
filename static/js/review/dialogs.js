/** The questions of the review page, each a promise of its answer; null where the person turned away. */

import { gettext, interpolate, ngettext } from "../i18n.js";
import { speakerName } from "./passage-row.js";
import { diffTexts } from "./word-diff.js";

/** Show a dialog until it closes. Returns its returnValue, empty where it was cancelled. */
function shown(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true }));
}

function connectForm(dialog, form, cancel) {
  cancel.addEventListener("click", () => dialog.close(""));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    dialog.close("yes");
  });
}

/** Both texts of a segment that two people changed. */
export class ConflictDialog {
  constructor(dialog) {
    this.dialog = dialog;
    this.find = (name) => dialog.querySelector(`[data-conflict-${name}]`);
    for (const button of dialog.querySelectorAll("[data-conflict-choice]")) {
      button.addEventListener("click", () => dialog.close(button.dataset.conflictChoice));
    }
    // Esc would leave the line standing: it chooses what loses nothing.
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      dialog.close("edit");
    });
  }

  /** who: made the other text, at a time; both may be unknown. Returns "mine", "theirs" or "edit" (one's own, again, in the editor). */
  ask({ who, at, theirs, mine }) {
    const time = at ? new Date(at).toLocaleTimeString(document.documentElement.lang, { timeStyle: "short" }) : "";
    this.find("who").textContent = who
      ? interpolate(gettext("%(name)s saved another text at %(time)s, while you were editing. Which one should stay?"), { name: who, time })
      : gettext("Another text was saved while you were editing. Which one should stay?");
    this.find("by").textContent = who ? interpolate(gettext("Text of %(name)s"), { name: who }) : gettext("Theirs");
    this.find("theirs").replaceChildren(...marked(theirs, mine));
    this.find("mine").replaceChildren(...marked(mine, theirs));
    return shown(this.dialog);
  }
}

/** A text with what the other one has not. */
function marked(text, other) {
  return diffTexts(other, text)
    .filter(({ kind }) => kind !== "removed")
    .map(({ kind, text: words }) => (kind === "same" ? words : Object.assign(document.createElement("mark"), { textContent: words.trimEnd() })))
    .flatMap((part) => (typeof part === "string" ? [part] : [part, " "]));
}

/** Who speaks in a segment, or in all that have the same speaker. */
export class SpeakerDialog {
  constructor(dialog) {
    this.dialog = dialog;
    this.find = (name) => dialog.querySelector(`[data-speaker-${name}]`);
    connectForm(dialog, this.find("form"), this.find("cancel"));
  }

  /** count: segments with this speaker. Returns {name, everywhere} or null. */
  async ask({ speaker, names, count, everywhere = false }) {
    this.find("name").value = speaker;
    this.find("names").replaceChildren(...names.map((name) => new Option(name, name)));
    const words = speaker
      ? ngettext("In the %(count)s segment of “%(name)s”", "In all %(count)s segments of “%(name)s”", count)
      : ngettext("In the %(count)s segment without a speaker", "In all %(count)s segments without a speaker", count);
    this.find("everywhere").textContent = interpolate(words, { count, name: speakerName(speaker) });
    for (const choice of this.dialog.querySelectorAll("[name=where]")) {
      choice.checked = (choice.value === "everywhere") === everywhere;
    }
    setTimeout(() => this.find("name").select());
    if ((await shown(this.dialog)) !== "yes") return null;
    return { name: this.find("name").value.trim(), everywhere: this.dialog.querySelector("[name=where]:checked").value === "everywhere" };
  }
}

/** The words of a bookmark or note. */
export class NoteDialog {
  constructor(dialog) {
    this.dialog = dialog;
    this.find = (name) => dialog.querySelector(`[data-note-${name}]`);
    connectForm(dialog, this.find("form"), this.find("cancel"));
    this.find("text").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      dialog.close("yes");
    });
  }

  /** Returns the text, which may be empty, or null. */
  async ask({ title, text = "" }) {
    this.find("title").textContent = title;
    this.find("text").value = text;
    return (await shown(this.dialog)) === "yes" ? this.find("text").value.trim() : null;
  }
}

/** Yes or no. */
export class AskDialog {
  constructor(dialog) {
    this.dialog = dialog;
    this.find = (name) => dialog.querySelector(`[data-ask-${name}]`);
  }

  async ask({ title, text, yes }) {
    this.find("title").textContent = title;
    this.find("text").textContent = text;
    this.find("yes").textContent = yes;
    return (await shown(this.dialog)) === "yes";
  }
}
