/** Single-key shortcuts: never in fields, never with a modifier, and off for those who switched them off. */

const KEY = "shortcuts";
const SEQUENCE_MS = 1200;

export function areShortcutsOn() {
  try {
    return localStorage.getItem(KEY) !== "off";
  } catch {
    return true; // storage is blocked
  }
}

export function setShortcutsOn(isOn) {
  try {
    localStorage.setItem(KEY, isOn ? "on" : "off");
  } catch {
    // storage is blocked: the choice cannot be kept
  }
}

/**
 * True while the person writes or chooses something, where letters belong to the field. A dialog that has just
 * closed may still be where keys arrive: the browser moves the focus out of it a moment later.
 */
export function isTyping(target) {
  return Boolean(target.closest?.("input, textarea, select, [contenteditable], dialog[open]"));
}

export class Shortcuts {
  /** actions: {key: function}; two keys in a row are written "g l". */
  constructor(actions) {
    this.actions = actions;
    this.prefix = "";
    this.prefixAt = 0;
  }

  connect() {
    document.addEventListener("keydown", (event) => this.onKey(event));
  }

  onKey(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (isTyping(event.target) || !areShortcutsOn()) return;
    const isSequence = this.prefix && event.timeStamp - this.prefixAt < SEQUENCE_MS;
    const action = this.actions[isSequence ? `${this.prefix} ${event.key}` : event.key];
    this.prefix = "";
    if (action) {
      event.preventDefault();
      action(event);
    } else if (Object.keys(this.actions).some((name) => name.startsWith(`${event.key} `))) {
      this.prefix = event.key;
      this.prefixAt = event.timeStamp;
    }
  }
}
