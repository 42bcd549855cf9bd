/** Speaks state changes to screen readers through one role="status" element, at most one every two seconds. */

const GAP_MS = 2000;

export class Announcer {
  constructor(element) {
    this.element = element;
    this._nextAt = 0;
    this._timer = null;
  }

  /** A newer text replaces one that waits. */
  say(text) {
    clearTimeout(this._timer);
    const waitMs = this._nextAt - Date.now();
    if (waitMs > 0) this._timer = setTimeout(() => this._speak(text), waitMs);
    else this._speak(text);
  }

  _speak(text) {
    this._nextAt = Date.now() + GAP_MS;
    this.element.textContent = text;
  }
}
