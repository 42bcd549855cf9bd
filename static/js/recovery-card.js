/** "A recording from 10:42 was interrupted (3 min 20 s). Recover / Discard"; Discard asks. */

import { askDiscard, recoveredHelp, recoveredText } from "./record-words.js";

export class RecoveryCard {
  /** onRecover, onDiscard: called with what `show` was given. */
  constructor(element, { onRecover, onDiscard }) {
    this.element = element;
    this.find = (name) => element.querySelector(`[data-${name}]`);
    this.left = null;
    this.find("recover").addEventListener("click", () => this._leave(onRecover));
    this.find("discard").addEventListener("click", () => this._ask(true));
    this.find("discard-no").addEventListener("click", () => this._ask(false));
    this.find("discard-yes").addEventListener("click", () => this._leave(onDiscard));
  }

  /** left: {recording, lengthMs, ...}. Returns what it says. */
  show(left) {
    this.left = left;
    const text = recoveredText(left.recording.startedAt, left.lengthMs);
    this.find("recovered-text").textContent = text;
    this._ask(false, false);
    this.element.hidden = false;
    return text;
  }

  hide() {
    this.element.hidden = true;
  }

  _ask(isAsking, moveFocus = true) {
    this.find("recovered-help").textContent = isAsking ? askDiscard() : recoveredHelp();
    this.find("recovered-choice").hidden = isAsking;
    this.find("recovered-asking").hidden = !isAsking;
    if (moveFocus) this.find(isAsking ? "discard-no" : "discard").focus();
  }

  _leave(callback) {
    this.hide();
    callback(this.left);
  }
}
