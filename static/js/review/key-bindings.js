/** Which key does what on the review page. Pure but for what the browser remembers. */

import { recall, remember } from "../storage.js";

const STORE = "review-keys";

/** While reading. One character alone is only taken where single keys are on (WCAG 2.1.4). */
export const READING = {
  Space: "play",
  k: "play",
  ArrowLeft: "back",
  ArrowRight: "forward",
  ",": "previousWord",
  ".": "nextWord",
  ArrowUp: "previousSegment",
  ArrowDown: "nextSegment",
  Enter: "edit",
  n: "nextDoubt",
  b: "previousDoubt",
  m: "bookmark",
  "[": "slower",
  "]": "faster",
  t: "theme",
  "?": "help",
  ...Object.fromEntries(Array.from({ length: 9 }, (_, i) => [String(i + 1), `speaker${i + 1}`])),
};

/** Everywhere, while editing too. */
export const ALWAYS = { "Ctrl+f": "find", "Ctrl+s": "save" };

/** Outside of fields, where the browser's own undo belongs to the text. */
export const OUTSIDE_FIELDS = { "Ctrl+z": "undo", "Ctrl+Shift+z": "redo", "Ctrl+y": "redo" };

/** While editing; the hand stays on the keyboard (oTranscribe's set). People may choose others. */
export const EDITING = {
  "Ctrl+Space": "play",
  F1: "back",
  F2: "forward",
  F3: "slower",
  F4: "faster",
  "Ctrl+j": "insertTime",
};
export const REBINDABLE = Object.values(EDITING);

/** What keeps its meaning while editing, and cannot be given another. */
const TAKEN = new Set(["Enter", "Shift+Enter", "Ctrl+Enter", "Backspace", "Escape", "Tab", "Shift+Tab", ...Object.keys(ALWAYS), ...Object.keys(OUTSIDE_FIELDS)]);

/** "Ctrl+Shift+z" of a keyboard event; on a Mac ⌘ counts as Ctrl. Empty for a modifier alone. */
export function chordOf(event) {
  if (["Control", "Shift", "Alt", "Meta", "Dead", "Process"].includes(event.key)) return "";
  const key = event.key === " " ? "Space" : event.key;
  const isCharacter = key.length === 1;
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("Ctrl");
  if (event.altKey) parts.push("Alt");
  // With a character Shift is in it already, except that Ctrl+Shift+Z has to differ from Ctrl+Z.
  if (event.shiftKey && (!isCharacter || parts.length)) parts.push("Shift");
  parts.push(isCharacter && parts.length ? key.toLowerCase() : key);
  return parts.join("+");
}

/** Whether a chord is a single character, which those who dictate or tremble may have switched off. */
export function isSingleKey(chord) {
  return chord.length === 1 || chord === "Space";
}

/** Whether an editing action may be put on a chord: letters alone are text. */
export function isUsable(chord) {
  return chord !== "" && !isSingleKey(chord) && !chord.startsWith("Arrow") && !chord.startsWith("Shift+Arrow") && !TAKEN.has(chord);
}

export class KeyBindings {
  constructor() {
    this.editing = { ...EDITING };
    const stored = recall(STORE, {});
    for (const [action, chord] of Object.entries(stored)) {
      if (REBINDABLE.includes(action) && isUsable(chord)) this._put(action, chord);
    }
  }

  /** The action of a chord in a mode ("reading" or "editing"), or null. */
  actionFor(chord, { isEditing, isTyping, areSingleKeysOn = true }) {
    if (ALWAYS[chord]) return ALWAYS[chord];
    if (isEditing) return this.editing[chord] ?? null;
    if (isTyping) return null;
    if (isSingleKey(chord) && !areSingleKeysOn) return null;
    return READING[chord] ?? OUTSIDE_FIELDS[chord] ?? (isSingleKey(chord) ? null : this.editing[chord]) ?? null;
  }

  chordFor(action) {
    return Object.keys(this.editing).find((chord) => this.editing[chord] === action) ?? "";
  }

  /** Returns whether it was taken; another action on the chord loses it. */
  bind(action, chord) {
    if (!isUsable(chord)) return false;
    this._put(action, chord);
    remember(STORE, Object.fromEntries(REBINDABLE.map((name) => [name, this.chordFor(name)])));
    return true;
  }

  reset() {
    this.editing = { ...EDITING };
    remember(STORE, {});
  }

  _put(action, chord) {
    delete this.editing[this.chordFor(action)];
    this.editing[chord] = action;
  }
}
