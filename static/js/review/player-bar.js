/** The player's controls: waveform, buttons, clock, speed, and what the browser remembers of them. */

import { formatDuration } from "../format.js";
import { gettext } from "../i18n.js";
import { recall, remember } from "../storage.js";
import { Player, SPEEDS } from "./player.js";
import { Waveform } from "./waveform.js";

const STORE = "review-player";

/** "1:02:03", "2:03", "63" or "1:02.5" as milliseconds; null for what is no time. Pure. */
export function parseClock(text) {
  const match = /^\s*(?:(?:(\d+):)?(\d{1,3}):)?(\d{1,6}(?:[.,]\d{1,3})?)\s*$/.exec(text);
  if (!match) return null;
  const [hours, minutes, seconds] = [match[1] ?? 0, match[2] ?? 0, match[3].replace(",", ".")].map(Number);
  return Math.round(((hours * 60 + minutes) * 60 + seconds) * 1000);
}

export class PlayerBar {
  /** element: review_player.html. pauseTyping: a box elsewhere, or null. onPosition(ms, isPlaying): each frame while it plays. */
  constructor(element, { durationMs, pauseTyping, onPosition }) {
    this.element = element;
    this.find = (name) => element.querySelector(`[data-${name}]`);
    this.pauseTyping = pauseTyping;
    this.onPosition = onPosition;
    this.player = new Player(this.find("audio"), durationMs);
    this.wave = new Waveform(this.find("wave"), { durationMs, onSeek: (ms) => this.player.seek(ms) });
    this.settings = recall(STORE, { speed: 1, follow: true, pauseTyping: true });
  }

  connect() {
    this.element.hidden = false;
    const { player } = this;
    player.addEventListener("position", ({ detail }) => this._onPosition(detail.ms));
    player.addEventListener("state", () => this._onState());
    player.addEventListener("failed", () => this._onFailed());
    player.connect();
    this.wave.connect();
    for (const button of this.element.querySelectorAll("[data-skip]")) {
      button.addEventListener("click", () => player.skip(Number(button.dataset.skip)));
    }
    this.find("play-toggle").addEventListener("click", () => player.toggle());
    this._connectClock();
    this._connectSettings();
    this._onState();
    this._onPosition(0);
  }

  get isFollowing() {
    return this.find("follow").checked;
  }

  get pausesWhileTyping() {
    return this.pauseTyping?.checked ?? false;
  }

  /** load(): the API's peaks. gaps: [{startMs, endMs}] that are known without it. */
  async loadPeaks(load, gaps) {
    this.wave.mark({ gaps });
    try {
      const { peaks, missing } = await load();
      this.wave.setPeaks(peaks);
      this.wave.mark({ gaps: [...gaps, ...missing.map(([startMs, endMs]) => ({ startMs, endMs }))] });
    } catch {
      // Without its waveform the recording can be heard all the same.
    }
  }

  _connectClock() {
    const [button, input] = [this.find("clock"), this.find("clock-input")];
    const leave = (isTaken) => {
      if (input.hidden) return;
      const ms = parseClock(input.value);
      if (isTaken && ms === null) {
        input.setAttribute("aria-invalid", "true");
        return;
      }
      input.hidden = true;
      button.hidden = false;
      if (isTaken) this.player.seek(ms);
    };
    button.addEventListener("click", () => {
      input.value = formatDuration(this.player.positionMs);
      input.removeAttribute("aria-invalid");
      button.hidden = true;
      input.hidden = false;
      input.select();
    });
    this.find("clock-form").addEventListener("submit", (event) => {
      event.preventDefault();
      leave(true);
      if (input.hidden) button.focus();
    });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      leave(false);
      button.focus();
    });
    input.addEventListener("blur", () => leave(false));
  }

  _connectSettings() {
    const speed = this.find("speed");
    this.player.setSpeed(SPEEDS.includes(this.settings.speed) ? this.settings.speed : 1);
    speed.addEventListener("change", () => this.player.setSpeed(Number(speed.value)));
    for (const [box, key] of [[this.find("follow"), "follow"], [this.pauseTyping, "pauseTyping"]]) {
      if (!box) continue;
      box.checked = this.settings[key];
      box.addEventListener("change", () => this._remember({ [key]: box.checked }));
    }
  }

  _remember(change) {
    this.settings = { ...this.settings, ...change };
    remember(STORE, this.settings);
  }

  _onState() {
    const { player } = this;
    this.find("icon-play").hidden = player.isPlaying;
    this.find("icon-pause").hidden = !player.isPlaying;
    this.find("play-toggle").setAttribute("aria-label", player.isPlaying ? gettext("Pause") : gettext("Play"));
    this.find("speed").value = String(player.speed);
    this.find("length").textContent = formatDuration(player.durationMs);
    if (player.durationMs !== this.wave.durationMs) this.wave.setDuration(player.durationMs);
    if (player.speed !== this.settings.speed) this._remember({ speed: player.speed });
    this._onPosition(player.positionMs);
  }

  _onPosition(ms) {
    this.wave.setPosition(ms);
    const text = formatDuration(ms);
    if (this.find("clock-text").textContent !== text) this.find("clock-text").textContent = text;
    this.onPosition(ms, this.player.isPlaying);
  }

  _onFailed() {
    const error = this.find("player-error");
    error.textContent = gettext("The audio cannot be played right now. The transcript is not affected; reload the page to try again.");
    error.hidden = false;
  }
}
