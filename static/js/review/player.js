/** Plays the recording of a session: an audio element with the position in milliseconds, steps, speed and a clock. */

export const STEP_MS = 5_000;
export const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];
/** After a pause for typing a little is heard again. */
const RESUME_BACK_MS = 1_000;

export class Player extends EventTarget {
  /**
   * Events: "position" {ms} (each frame while playing, and when it changes), "state" (playing, paused, speed, length),
   * "failed" {error} (the audio cannot be had or played).
   * audio: an HTMLAudioElement. durationMs: what is known before its header is loaded.
   */
  constructor(audio, durationMs) {
    super();
    this.audio = audio;
    this._knownMs = durationMs;
    this._wantedMs = null; // a position chosen before there was anything to seek in
    this._stopAtMs = null;
    this._isHeldForTyping = false;
  }

  connect() {
    for (const name of ["play", "pause", "ratechange", "durationchange", "ended"]) {
      this.audio.addEventListener(name, () => this._announce());
    }
    this.audio.addEventListener("loadedmetadata", () => {
      if (this._wantedMs !== null) this.audio.currentTime = this._wantedMs / 1000;
      this._wantedMs = null;
    });
    this.audio.addEventListener("seeked", () => this._tell());
    this.audio.addEventListener("error", () => this._emit("failed", { error: this.audio.error }));
    this.audio.addEventListener("play", () => this._tick());
  }

  get positionMs() {
    return Math.round(this._wantedMs ?? this.audio.currentTime * 1000);
  }

  get durationMs() {
    return Number.isFinite(this.audio.duration) ? Math.round(this.audio.duration * 1000) : this._knownMs;
  }

  get isPlaying() {
    return !this.audio.paused && !this.audio.ended;
  }

  get speed() {
    return this.audio.playbackRate;
  }

  seek(ms) {
    const target = Math.max(0, Math.min(this.durationMs, ms));
    this._stopAtMs = null;
    if (this.audio.readyState > 0) this.audio.currentTime = target / 1000;
    else this._wantedMs = target;
    this._tell();
  }

  skip(ms) {
    this.seek(this.positionMs + ms);
  }

  async play() {
    this._isHeldForTyping = false;
    try {
      await this.audio.play();
    } catch (error) {
      // Pausing at once, or loading something else, is no failure.
      if (error.name !== "AbortError") this._emit("failed", { error });
    }
  }

  pause() {
    this._stopAtMs = null;
    this.audio.pause();
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  playFrom(ms) {
    this.seek(ms);
    return this.play();
  }

  /** Hear one stretch, such as a word with some of what is around it. */
  playBetween(startMs, endMs) {
    this.seek(startMs);
    this._stopAtMs = endMs;
    return this.play();
  }

  setSpeed(speed) {
    this.audio.playbackRate = this.audio.defaultPlaybackRate = speed;
  }

  changeSpeed(step) {
    const at = SPEEDS.findIndex((speed) => speed >= this.speed);
    this.setSpeed(SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, (at < 0 ? SPEEDS.length - 1 : at) + step))]);
  }

  /** Somebody types: be quiet. */
  holdForTyping() {
    if (!this.isPlaying) return;
    this.pause();
    this._isHeldForTyping = true;
  }

  /** They stopped typing. */
  resumeAfterTyping() {
    if (!this._isHeldForTyping) return;
    this._isHeldForTyping = false;
    this.playFrom(this.positionMs - RESUME_BACK_MS);
  }

  _tick() {
    if (!this.isPlaying) return;
    if (this._stopAtMs !== null && this.positionMs >= this._stopAtMs) this.pause();
    this._tell();
    requestAnimationFrame(() => this._tick());
  }

  _announce() {
    this._emit("state", {});
  }

  _tell() {
    this._emit("position", { ms: this.positionMs });
  }

  _emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
