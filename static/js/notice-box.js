/** The one place on the recording page where something is said to the person. */

/** Of several things to say at once the first is shown; the next comes when it is taken back. */
const ORDER = ["end", "buffer_full", "microphone_lost", "connection", "recogniser", "expiring", "network", "level"];

export class NoticeBox {
  /** alert: the role="alert" element that speaks what is shown to screen readers. */
  constructor(element, alert) {
    this.element = element;
    this.alert = alert;
    this.find = (name) => element.querySelector(`[data-${name}]`);
    this.notices = new Map(); // about -> notice
    this.find("copy-id").addEventListener("click", () => navigator.clipboard?.writeText(this.find("request-id").textContent));
  }

  /** actions: {name: function} for the buttons that are no links. */
  on(actions) {
    for (const [name, action] of Object.entries(actions)) {
      this.element.querySelector(`[data-action="${name}"]`).addEventListener("click", action);
    }
  }

  /** about: what a later `hide(about)` takes back. quietly: not spoken, for what the page says from the start. */
  show(notice, { about = "end", quietly = false } = {}) {
    if (about === "end") this.notices.clear();
    this.notices.set(about, notice);
    this._render();
    const isShown = this._first() === notice;
    if (isShown && !quietly) this.alert.textContent = [notice.text, notice.help].filter(Boolean).join(" ");
  }

  /** Without `about`: everything. */
  hide(about = null) {
    if (about === null) this.notices.clear();
    else if (!this.notices.delete(about)) return;
    this.alert.textContent = "";
    this._render();
  }

  _first() {
    const about = ORDER.find((name) => this.notices.has(name));
    return this.notices.get(about) ?? null;
  }

  _render() {
    const notice = this._first();
    this.element.hidden = notice === null;
    if (!notice) return;
    const { tone, text, help, actions, requestId } = notice;
    this.element.dataset.tone = tone;
    this.find("notice-text").textContent = text;
    this._optional("notice-help", help);
    this.find("request-id").textContent = requestId;
    this.find("notice-id").hidden = !requestId;
    for (const button of this.element.querySelectorAll("[data-action]")) {
      button.hidden = !actions.includes(button.dataset.action);
    }
    this.find("notice-actions").hidden = !actions.length;
  }

  _optional(name, text) {
    this.find(name).textContent = text;
    this.find(name).hidden = !text;
  }
}
