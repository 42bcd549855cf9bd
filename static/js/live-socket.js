/** A socket of a page that only watches: it comes back by itself, and says how fresh what it shows is. */

const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 30_000;
/** After this long without a connection the page says "Offline" rather than "Reconnecting". */
const OFFLINE_AFTER_MS = 30_000;
/** Closes that trying again does not mend: not logged in, not allowed, not found. */
const FINAL_CODES = new Set([4401, 4403, 4404]);
const OPEN = 1; // WebSocket.OPEN

/**
 * Events: `message` {the parsed JSON}; `status` {status, ageMs, code}: "connecting", "connected", "reconnecting",
 * "offline" or "refused", at every change and every second.
 */
export class LiveSocket extends EventTarget {
  /** path: address, or a function that gives it for each attempt. silenceMs: longer silence means a dead connection. */
  constructor(path, { silenceMs = Infinity, WebSocketClass = globalThis.WebSocket } = {}) {
    super();
    this.path = path;
    this.silenceMs = silenceMs;
    this._WebSocket = WebSocketClass;
    this._attempt = 0;
    this._heardAt = null;
    this._lostAt = null;
    this._retryTimer = null;
    this._socket = null;
    this.status = "connecting";
  }

  open() {
    this._connect();
    this._ticker = setInterval(() => this._tell(), 1000);
    addEventListener("online", () => this._hurry());
    document.addEventListener("visibilitychange", () => this._hurry());
  }

  /** No more attempts; used when the page knows that there is nothing left to hear. */
  close() {
    clearInterval(this._ticker);
    clearTimeout(this._retryTimer);
    this.status = "closed";
    if (this._socket) this._socket.onclose = null;
    this._socket?.close();
  }

  /** Says something if there is a connection; what it said before is not said again to the next one. */
  send(message) {
    if (this._socket?.readyState === OPEN) this._socket.send(JSON.stringify(message));
  }

  get ageMs() {
    return this._heardAt === null ? null : Date.now() - this._heardAt;
  }

  _connect() {
    const url = new URL(typeof this.path === "function" ? this.path() : this.path, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new this._WebSocket(url.href);
    this._socket = socket;
    socket.onmessage = ({ data }) => this._onMessage(JSON.parse(data));
    socket.onclose = ({ code }) => this._onClose(code);
  }

  _onMessage(message) {
    this._attempt = 0;
    this._heardAt = Date.now();
    this._lostAt = null;
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
    this._become("connected");
  }

  _onClose(code) {
    this._socket = null;
    if (FINAL_CODES.has(code)) {
      clearInterval(this._ticker);
      this._become("refused", code);
      return;
    }
    this._lostAt ??= Date.now();
    const longestMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** this._attempt);
    this._attempt += 1;
    // Jitter: the watchers of a restarted server should not all come back at the same moment.
    this._retryTimer = setTimeout(() => this._connect(), RETRY_MIN_MS / 2 + Math.random() * longestMs);
    this._tell();
  }

  /** A connection that broke without a word is closed here; the browser might take minutes to notice. */
  _giveUp() {
    this._socket.onmessage = this._socket.onclose = null;
    this._socket.close();
    this._onClose(1006);
  }

  _hurry() {
    if (this._socket || this.status === "closed" || this.status === "refused") return;
    if (document.visibilityState !== "visible") return;
    clearTimeout(this._retryTimer);
    this._connect();
  }

  _tell() {
    if (this._lostAt === null && this.ageMs > this.silenceMs) this._giveUp();
    if (this._lostAt === null) this._become(this.status);
    else this._become(Date.now() - this._lostAt > OFFLINE_AFTER_MS ? "offline" : "reconnecting");
  }

  _become(status, code = null) {
    this.status = status;
    this.dispatchEvent(new CustomEvent("status", { detail: { status, ageMs: this.ageMs, code } }));
  }
}
