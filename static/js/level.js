/** Says in one word how loud the input is. Pure: fed with the level of each block. */

const SILENCE_PEAK = 0.003; // -50 dBFS: below what any open microphone hears
const QUIET_PEAK = 0.03; // -30 dBFS: speech this soft is recognised badly
const CLIP_PEAK = 0.985;
const SILENCE_AFTER_MS = 5000;
const QUIET_AFTER_MS = 5000;
const CLIP_WINDOW_MS = 2000;
const CLIPS_IN_WINDOW = 3;

export class LevelJudge {
  constructor() {
    this.elapsedMs = 0;
    this._heardAtMs = 0;
    this._loudEnoughAtMs = 0;
    this._clipsAtMs = [];
  }

  /** Returns "normal", "quiet", "silent" or "clipping". peak: 0.0-1.0 of a block of durationMs. */
  feed(peak, durationMs) {
    this.elapsedMs += durationMs;
    if (peak >= SILENCE_PEAK) this._heardAtMs = this.elapsedMs;
    if (peak >= QUIET_PEAK) this._loudEnoughAtMs = this.elapsedMs;
    if (peak >= CLIP_PEAK) this._clipsAtMs.push(this.elapsedMs);
    this._clipsAtMs = this._clipsAtMs.filter((at) => this.elapsedMs - at < CLIP_WINDOW_MS);
    return this._judge();
  }

  _judge() {
    if (this._clipsAtMs.length >= CLIPS_IN_WINDOW) return "clipping";
    if (this.elapsedMs - this._heardAtMs >= SILENCE_AFTER_MS) return "silent";
    if (this.elapsedMs - this._loudEnoughAtMs >= QUIET_AFTER_MS) return "quiet";
    return "normal";
  }
}
