/** Keeps a phone's screen on while recording. Browsers drop the lock when the page is hidden, so it is asked for again. */

export class KeepAwake {
  constructor() {
    this._lock = null;
    this._isWanted = false;
    document.addEventListener("visibilitychange", () => this._request());
  }

  start() {
    this._isWanted = true;
    this._request();
  }

  stop() {
    this._isWanted = false;
    this._lock?.release();
    this._lock = null;
  }

  async _request() {
    if (!this._isWanted || document.visibilityState !== "visible" || !navigator.wakeLock) return;
    try {
      const lock = await navigator.wakeLock.request("screen");
      if (this._isWanted) this._lock = lock;
      else lock.release();
    } catch {
      // Low battery or a policy: recording works without, the screen may turn off.
    }
  }
}
