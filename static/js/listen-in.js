/** Hearing a session while it is spoken, three seconds behind. Nothing is fetched before somebody asks for it. */

import { gettext } from "./i18n.js";
import { LiveWave } from "./live-wave.js";

export class ListenIn {
  /** button: starts and stops. url: of the audio. announce(text): for screen readers. */
  constructor(button, { url, announce }) {
    Object.assign(this, { button, url, announce });
    this.listening = null;
  }

  connect() {
    this.button.addEventListener("click", () => (this.listening ? this.stop() : this.start()));
    addEventListener("pagehide", () => this.stop());
  }

  async start() {
    const listening = (this.listening = { wave: new LiveWave(), abort: new AbortController(), audio: null });
    this._show(gettext("Stop listening"), true);
    this.announce(gettext("You hear the session three seconds behind."));
    try {
      const response = await fetch(this.url, { signal: listening.abort.signal });
      if (!response.ok) throw new Error(String(response.status));
      for await (const block of blocksOf(response.body)) {
        if (!listening.wave.feed(block)) return void (await this._startElement(listening));
      }
      if (listening === this.listening) this.stop();
    } catch {
      this._fail(listening);
    }
  }

  stop() {
    if (!this.listening) return;
    const { wave, abort, audio } = this.listening;
    this.listening = null;
    abort.abort();
    wave.close();
    if (audio) {
      // The address is taken away too: a paused element would go on to be sent audio.
      audio.pause();
      audio.removeAttribute("src");
      audio.load();
    }
    this._show(gettext("Listen"), false);
  }

  /** Telephones' formats are the browser's to decode, some seconds later. */
  async _startElement(listening) {
    listening.abort.abort();
    const audio = (listening.audio = new Audio(this.url));
    audio.addEventListener("error", () => this._fail(listening));
    audio.addEventListener("ended", () => this.stop());
    await audio.play();
  }

  _fail(listening) {
    if (listening !== this.listening) return;
    this.stop();
    this._show(gettext("The audio cannot be heard now"), false);
    this.announce(gettext("The audio cannot be heard now"));
  }

  _show(text, isOn) {
    this.button.querySelector("span").textContent = text;
    this.button.setAttribute("aria-pressed", String(isOn));
  }
}

/** Not every browser lets a stream be iterated. */
async function* blocksOf(stream) {
  const reader = stream.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    yield value;
  }
}
