/** Time that passes only when the test says so; it stands in for the timers and the date of the runtime. */

/** Node.js 18 has no CustomEvent; browsers have had it for ever. */
globalThis.CustomEvent ??= class CustomEvent extends Event {
  constructor(type, { detail = null } = {}) {
    super(type);
    this.detail = detail;
  }
};

const NAMES = ["setTimeout", "clearTimeout", "setInterval", "clearInterval"];

export class FakeClock {
  constructor() {
    this.nowMs = 1_700_000_000_000;
    this.timers = new Map();
    this.nextId = 1;
  }

  /** What an earlier test left waiting is forgotten. */
  install() {
    this.timers.clear();
    this.real = Object.fromEntries(NAMES.map((name) => [name, globalThis[name]]));
    this.realNow = Date.now;
    globalThis.setTimeout = (callback, delayMs = 0) => this._add(callback, delayMs, null);
    globalThis.setInterval = (callback, delayMs) => this._add(callback, delayMs, delayMs);
    globalThis.clearTimeout = globalThis.clearInterval = (id) => this.timers.delete(id);
    Date.now = () => this.nowMs;
  }

  uninstall() {
    Object.assign(globalThis, this.real);
    Date.now = this.realNow;
  }

  /** Let time pass: timers fire one after the other, each at its own moment. */
  tick(ms) {
    const end = this.nowMs + ms;
    for (let next = this._next(end); next; next = this._next(end)) {
      const [id, timer] = next;
      this.nowMs = timer.dueMs;
      if (timer.everyMs === null) this.timers.delete(id);
      else timer.dueMs += timer.everyMs;
      timer.callback();
    }
    this.nowMs = end;
  }

  _add(callback, delayMs, everyMs) {
    this.timers.set(this.nextId, { callback, dueMs: this.nowMs + delayMs, everyMs });
    this.nextId += 1;
    return this.nextId - 1;
  }

  _next(endMs) {
    const due = [...this.timers].filter(([, { dueMs }]) => dueMs <= endMs);
    return due.sort(([, a], [, b]) => a.dueMs - b.dueMs)[0];
  }
}
