/** Hearing a session while it is spoken, three seconds behind. Nothing is fetched before somebody asks for it. */

import { gettext } from "./i18n.js";

export class ListenIn {
  /** button: starts and stops. url: of the audio. announce(text): for screen readers. */
  constructor(button, { url, announce }) {
    Object.assign(this, { button, url, announce });
    this.audio = null;
  }

  connect() {
    this.button.addEventListener("click", () => (this.audio ? this.stop() : this.start()));
    addEventListener("pagehide", () => this.stop());
  }

  async start() {
    const audio = (this.audio = new Audio(this.url));
    audio.addEventListener("error", () => this._fail(audio));
    audio.addEventListener("ended", () => this.stop());
    this._show(gettext("Stop listening"), true);
    try {
      await audio.play();
      this.announce(gettext("You hear the session three seconds behind."));
    } catch {
      this._fail(audio);
    }
  }

  /** The address is taken away too: a paused element would go on to be sent audio. */
  stop() {
    if (!this.audio) return;
    const { audio } = this;
    this.audio = null;
    audio.pause();
    audio.removeAttribute("src");
    audio.load();
    this._show(gettext("Listen"), false);
  }

  _fail(audio) {
    if (audio !== this.audio) return;
    this.stop();
    this._show(gettext("The audio cannot be heard now"), false);
    this.announce(gettext("The audio cannot be heard now"));
  }

  _show(text, isOn) {
    this.button.querySelector("span").textContent = text;
    this.button.setAttribute("aria-pressed", String(isOn));
  }
}
