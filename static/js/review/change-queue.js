/**
 * Changes on their way to the server, one after another. Without a connection they are kept in the browser and sent
 * later. Nothing in here knows what a change is but for `id` (the segment), `version` (which it is based on) and `kind`.
 */

export const MAX_WAITING = 500;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;

/** The server cannot be reached, or cannot take anything right now. */
export class Unreachable extends Error {}

/** The segment is another than the change was based on. current: as it is now, {version, text, …}. by: who made it so, at: when. */
export class Conflict extends Error {
  constructor(message, current, { by = "", at = null } = {}) {
    super(message);
    this.current = current;
    this.by = by;
    this.at = at;
  }
}

export class ChangeQueue extends EventTarget {
  /**
   * send(change): the answer {version, …}; raises Unreachable, Conflict, or what refuses the change for good.
   * store: {load() -> [change], save([change])}.
   * Events: "state" {state, waiting}, state one of saved, saving, offline, conflict; "saved" {change, answer};
   * "conflict" {change, current, by, at}, until resolve() is called; "refused" {change, error}.
   */
  constructor({ send, store, setTimer = setTimeout, clearTimer = clearTimeout, random = Math.random }) {
    super();
    this._send = send;
    this._store = store;
    this._timers = { set: (...args) => setTimer(...args), clear: (id) => clearTimer(id) };
    this._random = random;
    this.waiting = store.load().slice(0, MAX_WAITING);
    this.state = "saved";
    this._isRunning = false;
    this._tries = 0;
    this._timer = null;
    this._idle = [];
  }

  /** Send what an earlier visit left. */
  start() {
    this._tell(this.state);
    this._run();
  }

  /** Returns whether it was taken. A change that still waits is replaced by a later one of its kind and segment. */
  add(change) {
    const at = this.waiting.findLastIndex(({ id, kind }) => id === change.id && kind === change.kind);
    const isWaiting = at > 0 || (at === 0 && !this._isRunning && this.state !== "conflict");
    if (isWaiting) this.waiting[at] = { ...change, version: this.waiting[at].version };
    else if (this.waiting.length >= MAX_WAITING) return false;
    else this.waiting.push(change);
    this._keep();
    if (this.state === "offline" || this.state === "conflict") this._tell(this.state);
    this._run();
    return true;
  }

  /** Try again now: the browser says that there is a network. */
  retry() {
    this._timers.clear(this._timer);
    this._timer = null;
    this._tries = 0;
    this._run();
  }

  /** keep: send the change once more, over what is there now; otherwise it is given up. */
  resolve(keep) {
    if (this.state !== "conflict") return;
    const [change] = this.waiting;
    if (keep) change.version = this._current.version;
    else this.waiting.shift();
    for (const later of this.waiting) if (later.id === change.id) later.version = this._current.version;
    this._keep();
    this.state = "saving";
    this._run();
  }

  /** True once everything is saved; false as soon as that has to wait. */
  idle() {
    if (!this.waiting.length) return Promise.resolve(true);
    if (this.state === "offline" || this.state === "conflict") return Promise.resolve(false);
    return new Promise((resolve) => this._idle.push(resolve));
  }

  isWaitingFor(id) {
    return this.waiting.some((change) => change.id === id);
  }

  async _run() {
    if (this._isRunning || this._timer !== null || this.state === "conflict") return;
    this._isRunning = true;
    try {
      while (this.waiting.length && (await this._sendFirst()));
    } finally {
      this._isRunning = false;
    }
    if (!this.waiting.length) this._tell("saved");
  }

  /** Returns whether to go on with the next. */
  async _sendFirst() {
    const [change] = this.waiting;
    this._tell(this.state === "offline" ? "offline" : "saving");
    try {
      const answer = await this._send(change);
      this._done(change, answer.version);
      this._emit("saved", { change, answer });
    } catch (error) {
      if (error instanceof Unreachable) return this._wait();
      if (error instanceof Conflict) return this._stand(change, error);
      this._done(change, null);
      this._emit("refused", { change, error });
    }
    return true;
  }

  _done(change, version) {
    this._tries = 0;
    this.state = "saving";
    this.waiting.shift();
    if (version !== null) for (const later of this.waiting) if (later.id === change.id) later.version = version;
    this._keep();
  }

  _wait() {
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this._tries);
    this._tries += 1;
    this._timer = this._timers.set(() => {
      this._timer = null;
      this._run();
    }, longest * (0.5 + this._random() / 2));
    this._tell("offline");
    return false;
  }

  _stand(change, { current, by, at }) {
    this._current = current;
    this._tell("conflict");
    this._emit("conflict", { change, current, by, at });
    return false;
  }

  _keep() {
    this._store.save(this.waiting);
  }

  _tell(state) {
    this.state = state;
    if (state !== "saving") for (const resolve of this._idle.splice(0)) resolve(state === "saved");
    this._emit("state", { state, waiting: this.waiting.length });
  }

  _emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** Changes of one session in the browser's storage, for who is logged in. */
export function browserStore(key) {
  return {
    load() {
      try {
        const kept = JSON.parse(localStorage.getItem(key) ?? "[]");
        return Array.isArray(kept) ? kept : [];
      } catch {
        return [];
      }
    },
    save(changes) {
      try {
        if (changes.length) localStorage.setItem(key, JSON.stringify(changes));
        else localStorage.removeItem(key);
      } catch {
        // storage is full or blocked: they are kept as long as the page is
      }
    },
  };
}
