/** Asks the server how it is, once for the whole page however many parts of it want to know. */

import { readHealth } from "./health-report.js";

class HealthWatch extends EventTarget {
  constructor() {
    super();
    this.everyMs = Infinity;
    this._timer = null;
    this._asked = 0;
  }

  /** listener({isReady, checks, recogniser, since, detail}): see readHealth. The shortest interval asked for counts. */
  follow(url, everyMs, listener) {
    this.url = url;
    this.addEventListener("report", ({ detail }) => listener(detail));
    if (everyMs >= this.everyMs) return;
    if (this.everyMs === Infinity) document.addEventListener("visibilitychange", () => this.refresh());
    this.everyMs = everyMs;
    clearInterval(this._timer);
    this._timer = setInterval(() => this.refresh(), everyMs);
    // Once all parts of the page that load with it are listening.
    queueMicrotask(() => this.refresh());
  }

  async refresh() {
    if (document.visibilityState !== "visible") return;
    this._asked += 1;
    const asked = this._asked;
    const report = await readHealth(this.url);
    if (asked === this._asked) this.dispatchEvent(new CustomEvent("report", { detail: report }));
  }
}

export const healthWatch = new HealthWatch();
