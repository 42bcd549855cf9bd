/** The one place on the recording page where something is said to the person. */

export class NoticeBox {
  /** alert: the role="alert" element that speaks what is shown to screen readers. */
  constructor(element, alert) {
    this.element = element;
    this.alert = alert;
    this.find = (name) => element.querySelector(`[data-${name}]`);
    this.about = null;
    this.find("copy-id").addEventListener("click", () => navigator.clipboard?.writeText(this.find("request-id").textContent));
  }

  /** actions: {name: function} for the buttons that are no links. */
  on(actions) {
    for (const [name, action] of Object.entries(actions)) {
      this.element.querySelector(`[data-action="${name}"]`).addEventListener("click", action);
    }
  }

  /** about: what a later `hide(about)` takes back. quietly: not spoken, for what the page says from the start. */
  show({ tone, text, help, actions, requestId }, { about = "end", quietly = false } = {}) {
    this.about = about;
    this.element.dataset.tone = tone;
    this.find("notice-text").textContent = text;
    this._optional("notice-help", help);
    this.find("request-id").textContent = requestId;
    this.find("notice-id").hidden = !requestId;
    for (const button of this.element.querySelectorAll("[data-action]")) {
      button.hidden = !actions.includes(button.dataset.action);
    }
    this.find("notice-actions").hidden = !actions.length;
    this.element.hidden = false;
    if (!quietly) this.alert.textContent = [text, help].filter(Boolean).join(" ");
  }

  /** Without `about`: whatever is shown. */
  hide(about = this.about) {
    if (about !== this.about) return;
    this.element.hidden = true;
    this.alert.textContent = "";
  }

  _optional(name, text) {
    this.find(name).textContent = text;
    this.find(name).hidden = !text;
  }
}
