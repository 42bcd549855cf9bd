/**
 * A client of the live transcription WebSocket, in one file without dependencies: copy it into your page.
 *
 *     const socket = new TranscriptionSocket(`wss://speech.example.org/api/v1/transcribe/${crypto.randomUUID()}`, {
 *       config: { language: "en-US" },
 *       token,                                  // from POST /api/v1/start-transcription; none for same-origin logins
 *     });
 *     socket.addEventListener("transcript", ({ detail }) => show(detail.text, detail.is_final));
 *     socket.addEventListener("closed", ({ detail }) => done(detail));
 *     socket.open();
 *     socket.send(pcm);                           // 16-bit little-endian PCM, from the first moment on
 *     socket.stop();                              // the last finals still arrive, then "closed"
 *
 * Every server event is dispatched under its own name with the whole message as `detail` (`session_created`,
 * `transcription_started`, `transcript`, `audio_ack`, `recogniser_status`, `audio_warning`, `session_expiring`,
 * `transcription_stopped`, `error`). Beside them:
 *
 *     progress   {sentBytes, queuedBytes, safeBytes}    after audio was sent or confirmed
 *     network    {isSlow}                               the connection takes audio more slowly than it is given
 *     closed     {code, reason, error, stopped}         once, at the end; error and stopped are the last such
 *                                                       messages or null; code 4xxx is the service's, 1006 a lost
 *                                                       connection, 0 a connection that could not be made in time
 */

const TOKEN_PROTOCOLS = (token) => ["speech.v1", `speech.token.${token}`];

/** Ten minutes of 16 kHz mono: what may wait here before `send` refuses. */
export const MAX_QUEUED_BYTES = 19_200_000;
/** Above this the network is slower than the audio; wait instead of filling the browser's buffer. */
export const HIGH_WATER_BYTES = 256 * 1024;
/** One binary message; the server's limit is announced in `session_created` and is larger. */
export const MAX_MESSAGE_BYTES = 32 * 1024;
export const KEEPALIVE_MS = 15_000;
export const START_TIMEOUT_MS = 15_000;
/** Browsers tell nobody that `bufferedAmount` fell, so look again after this. */
const BUFFER_POLL_MS = 50;
/** `WebSocket.OPEN`, also where the class is another. */
const OPEN = 1;

export class TranscriptionSocket extends EventTarget {
  /**
   * url: ws(s)://HOST/api/v1/transcribe/SESSION_ID
   * config: fields of `start_transcription`; what is left out takes the service's default.
   */
  constructor(url, { config = {}, token = null, WebSocketClass = globalThis.WebSocket } = {}) {
    super();
    this.url = url;
    this.config = config;
    this.state = "idle"; // idle, connecting, started, stopping, closed
    this.limits = {};
    this.sentBytes = 0;
    this.queuedBytes = 0;
    this.receivedBytes = 0;
    this.safeBytes = 0;
    this.isSlow = false;
    this.lastError = null;
    this.stopped = null;
    this._token = token;
    this._WebSocket = WebSocketClass;
    this._socket = null;
    this._queue = [];
    this._limitBytes = 0; // nothing may be sent before the first audio_ack; null: no limit
    this._maxMessageBytes = MAX_MESSAGE_BYTES;
    this._stopAsked = false;
    this._lastSentAt = 0;
    this._timers = new Map();
  }

  /** Connect and start the session. Audio may be given to `send` before, during and after. */
  open() {
    if (this.state !== "idle") throw new Error("a TranscriptionSocket is opened once");
    this.state = "connecting";
    this._setTimer("start", () => this._end(0, "start_timeout"), START_TIMEOUT_MS);
    const protocols = this._token ? TOKEN_PROTOCOLS(this._token) : [];
    this._socket = new this._WebSocket(this.url, protocols);
    this._socket.binaryType = "arraybuffer";
    this._socket.onmessage = (message) => this._onMessage(message.data);
    this._socket.onclose = (close) => this._end(close.code, close.reason);
  }

  /**
   * Queue audio; it goes out as soon as the session is started and the server has room.
   * Returns false, keeping nothing, when the session is over or MAX_QUEUED_BYTES are waiting already.
   */
  send(audio) {
    const bytes = ArrayBuffer.isView(audio)
      ? new Uint8Array(audio.buffer, audio.byteOffset, audio.byteLength)
      : new Uint8Array(audio);
    if (this._stopAsked || this.state === "closed" || this.queuedBytes + bytes.byteLength > MAX_QUEUED_BYTES) return false;
    this._queue.push(bytes);
    this.queuedBytes += bytes.byteLength;
    this._pump();
    return true;
  }

  /** End the current utterance now; the session goes on. */
  finalize() {
    if (this.state === "started") this._sendMessage({ type: "finalize" });
  }

  /** No more audio. What is queued is sent first; finals, `transcription_stopped` and `closed` follow. */
  stop() {
    if (this._stopAsked || this.state === "closed") return;
    this._stopAsked = true;
    this._pump();
  }

  /** Leave at once, without waiting for last finals. */
  close() {
    this._end(1000, "closed_by_client");
  }

  _onMessage(data) {
    if (typeof data !== "string" || this.state === "closed") return;
    const message = JSON.parse(data);
    const handler = HANDLERS[message.event];
    if (handler) handler.call(this, message);
    this.dispatchEvent(new CustomEvent(message.event, { detail: message }));
  }

  _onCreated(message) {
    this.limits = message.limits ?? {};
    if (this.limits.max_audio_bytes) this._maxMessageBytes = Math.min(MAX_MESSAGE_BYTES, this.limits.max_audio_bytes);
    this._sendMessage({ type: "start_transcription", config: this.config });
  }

  _onStarted() {
    this.state = "started";
    this._clearTimer("start");
    this._setTimer("keepalive", () => this._keepAlive(), KEEPALIVE_MS);
    this._pump();
  }

  _onAck(message) {
    this.receivedBytes = message.received ?? this.receivedBytes;
    this.safeBytes = message.safe ?? this.safeBytes;
    this._limitBytes = message.limit;
    this._pump();
    this._reportProgress();
  }

  _keepAlive() {
    const quietMs = Date.now() - this._lastSentAt;
    if (this.state === "started" && quietMs >= KEEPALIVE_MS) this._sendMessage({ type: "keepalive" });
    const nextMs = Math.max(BUFFER_POLL_MS, KEEPALIVE_MS - (Date.now() - this._lastSentAt));
    this._setTimer("keepalive", () => this._keepAlive(), nextMs);
  }

  /** Send what the server's limit and the network take; then, if asked, the stop. */
  _pump() {
    // Between the server's close and `onclose` the socket takes nothing: what waits stays queued.
    if (this.state !== "started" || this._socket.readyState !== OPEN) return;
    let sentAny = false;
    while (this._queue.length) {
      if (this._isNetworkFull()) break;
      const chunk = this._takeChunk();
      if (!chunk) break;
      this._socket.send(chunk);
      this.sentBytes += chunk.byteLength;
      this._lastSentAt = Date.now();
      sentAny = true;
    }
    if (sentAny) this._reportProgress();
    if (this._stopAsked && !this._queue.length) {
      this.state = "stopping";
      this._sendMessage({ type: "stop_transcription" });
    }
  }

  _isNetworkFull() {
    const isSlow = this._socket.bufferedAmount > HIGH_WATER_BYTES;
    if (isSlow) this._setTimer("pump", () => this._pump(), BUFFER_POLL_MS);
    if (isSlow !== this.isSlow) {
      this.isSlow = isSlow;
      this.dispatchEvent(new CustomEvent("network", { detail: { isSlow } }));
    }
    return isSlow;
  }

  /** The next message's bytes: never past the limit, never half a sample of a limit that is odd. */
  _takeChunk() {
    const first = this._queue[0];
    let room = Math.min(first.byteLength, this._maxMessageBytes);
    if (this._limitBytes !== null) room = Math.min(room, this._limitBytes - this.sentBytes);
    if (room < first.byteLength) room -= room % 2;
    if (room <= 0) return null;
    if (room === first.byteLength) this._queue.shift();
    else this._queue[0] = first.subarray(room);
    this.queuedBytes -= room;
    return first.subarray(0, room);
  }

  _sendMessage(message) {
    if (this._socket.readyState !== OPEN) return;
    this._socket.send(JSON.stringify(message));
    this._lastSentAt = Date.now();
  }

  _reportProgress() {
    const { sentBytes, queuedBytes, safeBytes } = this;
    this.dispatchEvent(new CustomEvent("progress", { detail: { sentBytes, queuedBytes, safeBytes } }));
  }

  _end(code, reason) {
    if (this.state === "closed") return;
    this.state = "closed";
    for (const name of [...this._timers.keys()]) this._clearTimer(name);
    this._queue = [];
    if (this._socket) {
      this._socket.onmessage = this._socket.onclose = null;
      this._socket.close(1000);
    }
    const detail = { code, reason, error: this.lastError, stopped: this.stopped };
    this.dispatchEvent(new CustomEvent("closed", { detail }));
  }

  _setTimer(name, callback, delayMs) {
    this._clearTimer(name);
    this._timers.set(name, setTimeout(callback, delayMs));
  }

  _clearTimer(name) {
    clearTimeout(this._timers.get(name));
    this._timers.delete(name);
  }
}

const HANDLERS = {
  session_created: TranscriptionSocket.prototype._onCreated,
  transcription_started: TranscriptionSocket.prototype._onStarted,
  audio_ack: TranscriptionSocket.prototype._onAck,
  transcription_stopped(message) {
    this.stopped = message;
    this.safeBytes = message.safe ?? this.safeBytes;
  },
  error(message) {
    this.lastError = message;
    this.safeBytes = message.safe ?? this.safeBytes;
  },
};
