/**
 * A client of the live transcription WebSocket, in one file without dependencies: copy it into your page.
 *
 *     const socket = new TranscriptionSocket(`wss://speech.example.org/api/v1/transcribe/${crypto.randomUUID()}`, {
 *       config: { language: "en-US" },
 *       token,                                  // from POST /api/v1/start-transcription; none for same-origin logins
 *     });
 *     socket.addEventListener("transcript", ({ detail }) => show(detail.segment, detail.text, detail.is_final));
 *     socket.addEventListener("revised", ({ detail }) => withdrawFrom(detail.from_segment));
 *     socket.addEventListener("closed", ({ detail }) => done(detail));
 *     socket.open();
 *     socket.send(pcm);                           // 16-bit little-endian PCM, from the first moment on
 *     socket.stop();                              // the last finals still arrive, then "closed"
 *
 * Audio is kept here until the service says that it is settled (`safe`). When the connection or the server is lost, the
 * socket connects again, resumes the session and sends from where the service wants it; audio may be given to `send`
 * all the while. What the service withdraws meanwhile it tells with `revised`, and sends again.
 *
 * Every server event is dispatched under its own name with the whole message as `detail` (`session_created`,
 * `transcription_started`, `transcription_resumed`, `transcript`, `revised`, `audio_ack`, `recogniser_status`,
 * `audio_warning`, `session_expiring`, `transcription_stopped`, `error`). Beside them:
 *
 *     progress      {sentBytes, queuedBytes, safeBytes}    after audio was sent or confirmed
 *     network       {isSlow}                               the connection takes audio more slowly than it is given
 *     reconnecting  {attempt, delayMs, code, error}        the connection is lost; it is tried again after delayMs
 *     resumed       {audioOffset, lateBytes}               the session goes on; so much audio is sent later than spoken
 *     caught-up     {lateBytes}                            all of that audio has been sent
 *     buffer-full   {heldBytes, safeBytes}                 `send` refuses audio until some of it is settled
 *     closed        {code, reason, error, stopped, unsettledBytes}   once, at the end; error and stopped are the last
 *                                                          such messages or null; code 4xxx is the service's, 1006 a lost
 *                                                          connection, 0 a connection that could not be made in time
 *
 * To take up the session of a page that is gone: `resume: {token, heldFrom, pieces, receivedSegments}` in place of
 * `config`, with the audio that was kept elsewhere; then `open()` and `stop()`.
 */

const TOKEN_PROTOCOLS = (token) => ["speech.v1", `speech.token.${token}`];

/** Ten minutes of 16 kHz mono: what may be held here, sent or not, before `send` refuses. */
export const MAX_HELD_BYTES = 19_200_000;
/** Above this the network is slower than the audio; wait instead of filling the browser's buffer. */
export const HIGH_WATER_BYTES = 256 * 1024;
/** One binary message; the server's limit is announced in `session_created` and is larger. */
export const MAX_MESSAGE_BYTES = 32 * 1024;
export const KEEPALIVE_MS = 15_000;
/** From connecting to `transcription_started` or `transcription_resumed`. */
export const START_TIMEOUT_MS = 15_000;
/** Waits before connecting again: the first, doubled each time up to the longest, each ±50 %. */
export const FIRST_RETRY_MS = 250;
export const LONGEST_RETRY_MS = 8_000;
/** A connection that held for so long begins again with the first wait. */
export const STABLE_MS = 5_000;
/** How long a session may be resumed where the server announces no `resume_window_ms`. */
export const RESUME_WINDOW_MS = 600_000;
/** The server's window begins when it notices the loss, up to 45 s after us; it decides. */
export const RESUME_GRACE_MS = 60_000;
/** Acknowledgements come every second while audio flows: with none for so long nobody is there. */
export const SILENCE_TIMEOUT_MS = 20_000;
const SILENCE_AUDIO_MS = 3_000;
const SILENCE_CHECK_MS = 5_000;
/** Browsers tell nobody that `bufferedAmount` fell, so look again after this. */
const BUFFER_POLL_MS = 50;
/** `WebSocket.OPEN`, also where the class is another. */
const OPEN = 1;
const NORMAL_CLOSE = 1000;
const LOST_CONNECTION = 1006;
const BAD_MESSAGE = 4400;
const RETRYABLE_CODES = new Set([4408, 4429, 4500, 4502, 4503, 4504, 4507]);

/** Whether a session goes on after its connection was closed so. error: the `error` event of that close, or null. */
export function isRetryable(code, error = null) {
  if (error?.retryable === false) return false;
  const told = error?.code ?? code;
  return told < 4000 ? told !== NORMAL_CLOSE : RETRYABLE_CODES.has(told);
}

/** Audio from the first byte that may be needed again to the newest; positions count from the session's first byte. */
class HeldAudio {
  constructor(startBytes = 0, pieces = []) {
    this.start = this.end = startBytes;
    this._pieces = []; // {start, bytes}
    this._next = 0; // where the piece of the last read was: reads follow each other
    for (const piece of pieces) this.append(new Uint8Array(piece));
  }

  get size() {
    return this.end - this.start;
  }

  append(bytes) {
    if (!bytes.byteLength) return;
    this._pieces.push({ start: this.end, bytes });
    this.end += bytes.byteLength;
  }

  /** Forget everything before `position`; one past the end moves the end. */
  trim(position) {
    if (position <= this.start) return;
    const kept = this._pieces.findIndex(({ start, bytes }) => start + bytes.byteLength > position);
    this._pieces.splice(0, kept < 0 ? this._pieces.length : kept);
    this._next = 0;
    this.start = position;
    this.end = Math.max(this.end, position);
    const first = this._pieces[0];
    if (first && first.start < position) this._pieces[0] = { start: position, bytes: first.bytes.subarray(position - first.start) };
  }

  /** Up to maxBytes from `position` on, joined from as many pieces as they take. */
  read(position, maxBytes) {
    const size = Math.min(maxBytes, this.end - position);
    let index = this._find(position);
    const first = this._part(index, position);
    if (first.byteLength >= size) return first.subarray(0, size);
    const joined = new Uint8Array(size);
    for (let filled = 0; filled < size; index += 1) {
      const part = this._part(index, position + filled).subarray(0, size - filled);
      joined.set(part, filled);
      filled += part.byteLength;
      this._next = index;
    }
    return joined;
  }

  _find(position) {
    const from = this._pieces[this._next]?.start <= position ? this._next : 0;
    this._next = this._pieces.findIndex(({ start, bytes }, index) => index >= from && start + bytes.byteLength > position);
    return this._next;
  }

  _part(index, position) {
    const { start, bytes } = this._pieces[index];
    return bytes.subarray(position - start);
  }
}

export class TranscriptionSocket extends EventTarget {
  /**
   * url: ws(s)://HOST/api/v1/transcribe/SESSION_ID
   * config: fields of `start_transcription`; what is left out takes the service's default.
   */
  constructor(url, { config = {}, token = null, resume = null, WebSocketClass = globalThis.WebSocket, random = Math.random } = {}) {
    super();
    this.url = url;
    this.config = config;
    this.state = "idle"; // idle, connecting, started, stopping, reconnecting, closed
    this.limits = {};
    this.resumeToken = resume?.token ?? null;
    this.receivedSegments = resume?.receivedSegments ?? 0;
    this.safeBytes = this.sentBytes = this.receivedBytes = resume?.heldFrom ?? 0;
    this.isSlow = false;
    this.lastError = null;
    this.stopped = null;
    this._held = new HeldAudio(this.safeBytes, resume?.pieces);
    this._token = token;
    this._WebSocket = WebSocketClass;
    this._random = random;
    this._socket = null;
    this._connectionError = null;
    this._limitBytes = 0; // nothing may be sent before the first audio_ack; null: no limit
    this._maxMessageBytes = MAX_MESSAGE_BYTES;
    this._isResumable = true; // until the server says otherwise
    this._stopAsked = false;
    this._finalizeAt = null; // after which byte the utterance is to be ended
    this._isFinalizeSent = false;
    this._isFull = false;
    this._attempt = 0;
    this._lostAt = null;
    this._receivedAtLoss = 0;
    this._catchUp = null; // {at, lateBytes}
    this._lastSentAt = 0;
    this._unansweredSince = null; // the first audio since something was heard
    this._lastAudioAt = 0;
    this._timers = new Map();
    this._onOnline = () => this._hurry();
  }

  /** The whole of what was given to `send`, as a position in the session's audio. */
  get endBytes() {
    return this._held.end;
  }

  get queuedBytes() {
    return this._held.end - this.sentBytes;
  }

  /** Connect and start (or resume) the session. Audio may be given to `send` before, during and after. */
  open() {
    if (this.state !== "idle") throw new Error("a TranscriptionSocket is opened once");
    if (this.resumeToken) this._lostAt = Date.now();
    globalThis.addEventListener?.("online", this._onOnline);
    this._connect();
  }

  /**
   * Take audio; it goes out as soon as the session is started and the server has room.
   * Returns false, keeping nothing, when the session is over or MAX_HELD_BYTES are held already.
   */
  send(audio) {
    const bytes = ArrayBuffer.isView(audio)
      ? new Uint8Array(audio.buffer, audio.byteOffset, audio.byteLength)
      : new Uint8Array(audio);
    if (this._stopAsked || this.state === "closed" || this._isFullFor(bytes.byteLength)) return false;
    this._held.append(bytes);
    this._pump();
    return true;
  }

  /** End the current utterance after the audio given so far; the session goes on. */
  finalize() {
    if (this._stopAsked || this.state === "closed") return;
    this._finalizeAt = this._held.end;
    this._isFinalizeSent = false;
    this._pump();
  }

  /** No more audio. What is held is sent first; finals, `transcription_stopped` and `closed` follow. */
  stop() {
    if (this._stopAsked || this.state === "closed") return;
    this._stopAsked = true;
    this._pump();
  }

  /** Leave at once, without waiting for last finals. */
  close() {
    this._end(NORMAL_CLOSE, "closed_by_client");
  }

  // Connecting

  _connect() {
    if (this.state === "idle") this.state = "connecting";
    this._connectionError = null;
    this._limitBytes = 0;
    this._unansweredSince = null;
    this._setTimer("start", () => this._onClose(0, "start_timeout"), START_TIMEOUT_MS);
    const protocols = this._token ? TOKEN_PROTOCOLS(this._token) : [];
    const socket = new this._WebSocket(this.url, protocols);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (message) => this._onMessage(message.data);
    socket.onclose = (close) => this._onClose(close.code, close.reason);
    this._socket = socket;
  }

  _onClose(code, reason) {
    // A refused message is told and forgiven; any other error is why the connection ended.
    const error = this._connectionError?.code === BAD_MESSAGE && code !== BAD_MESSAGE ? null : this._connectionError;
    if (this.stopped && !error) this._end(NORMAL_CLOSE, reason); // whatever became of the close itself
    else if (this.resumeToken && isRetryable(code, error)) this._reconnect(code, error);
    else this._end(code, reason);
  }

  _reconnect(code, error) {
    this._dropConnection();
    this.state = "reconnecting";
    if (this._lostAt === null) {
      this._lostAt = Date.now();
      this._receivedAtLoss = this.receivedBytes;
    }
    const windowMs = (this.limits.resume_window_ms || RESUME_WINDOW_MS) + RESUME_GRACE_MS;
    const leftMs = this._lostAt + windowMs - Date.now();
    if (leftMs <= 0) {
      this._end(0, "resume_window_over");
      return;
    }
    const backOffMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this._attempt) * (0.5 + this._random());
    const delayMs = Math.min(leftMs, Math.max(backOffMs, error?.retry_after_ms ?? 0));
    this._attempt += 1;
    this._mayHurry = !error?.retry_after_ms;
    this._setTimer("reconnect", () => this._connect(), delayMs);
    this._tell("reconnecting", { attempt: this._attempt, delayMs, code, error });
  }

  /** The device is on a network again: do not wait, unless the service asked for it. */
  _hurry() {
    if (!this._timers.has("reconnect") || !this._mayHurry) return;
    this._clearTimer("reconnect");
    this._connect();
  }

  _dropConnection() {
    for (const name of [...this._timers.keys()]) this._clearTimer(name);
    this._catchUp = null;
    if (!this._socket) return;
    this._socket.onmessage = this._socket.onclose = null;
    this._socket.close(NORMAL_CLOSE);
  }

  // Hearing

  _onMessage(data) {
    if (typeof data !== "string" || this.state === "closed") return;
    this._unansweredSince = null;
    const message = JSON.parse(data);
    const handler = HANDLERS[message.event];
    if (handler) handler.call(this, message);
    this._tell(message.event, message);
  }

  _onCreated(message) {
    this.limits = message.limits ?? {};
    if (this.limits.max_audio_bytes) this._maxMessageBytes = Math.min(MAX_MESSAGE_BYTES, this.limits.max_audio_bytes);
    this._sendMessage(
      this.resumeToken
        ? {
            type: "resume_transcription",
            resume_token: this.resumeToken,
            received_segments: this.receivedSegments,
            held_from: this._held.start,
          }
        : { type: "start_transcription", config: this.config },
    );
  }

  _onStarted(message) {
    this._isResumable = Boolean(message.resumable && message.resume_token);
    this.resumeToken = this._isResumable ? message.resume_token : null;
    this._begin();
  }

  _onResumed({ audio_offset: audioOffset }) {
    if (audioOffset < this._held.start) {
      // It was told what is held; sending anything else from here would be heard at the wrong time.
      this._end(0, "audio_forgotten");
      return;
    }
    this._held.trim(audioOffset);
    this.sentBytes = this.safeBytes = audioOffset;
    const lateBytes = Math.max(0, this._held.end - Math.max(this._receivedAtLoss, audioOffset));
    this.receivedBytes = audioOffset;
    this._lostAt = this.lastError = null;
    this._isFinalizeSent = false;
    this._catchUp = { at: this._held.end, lateBytes };
    this._setTimer("stable", () => (this._attempt = 0), STABLE_MS);
    this._begin();
    this._tell("resumed", { audioOffset, lateBytes });
  }

  _begin() {
    this.state = "started";
    this._clearTimer("start");
    this._setTimer("keepalive", () => this._keepAlive(), KEEPALIVE_MS);
    this._setTimer("silence", () => this._checkSilence(), SILENCE_CHECK_MS);
    this._pump();
  }

  _onTranscript({ is_final: isFinal, segment }) {
    if (isFinal) this.receivedSegments = Math.max(this.receivedSegments, segment + 1);
  }

  _onAck(message) {
    this.receivedBytes = message.received ?? this.receivedBytes;
    this._limitBytes = message.limit;
    this._settle(message.safe);
    this._pump();
    this._reportProgress();
  }

  _settle(safe) {
    this.safeBytes = Math.max(this.safeBytes, safe ?? 0);
    this._held.trim(Math.min(this.safeBytes, this.sentBytes));
    if (!this._isResumable) this._held.trim(this.sentBytes); // nobody can ask for it again
  }

  _keepAlive() {
    const quietMs = Date.now() - this._lastSentAt;
    if (this.state === "started" && quietMs >= KEEPALIVE_MS) this._sendMessage({ type: "keepalive" });
    const nextMs = Math.max(BUFFER_POLL_MS, KEEPALIVE_MS - (Date.now() - this._lastSentAt));
    this._setTimer("keepalive", () => this._keepAlive(), nextMs);
  }

  /** A connection that died without a word is noticed by its missing acknowledgements; browsers notice it far later. */
  _checkSilence() {
    const since = this._unansweredSince;
    const isSilent = since !== null && Date.now() - since >= SILENCE_TIMEOUT_MS && this._lastAudioAt - since >= SILENCE_AUDIO_MS;
    if (isSilent) this._onClose(LOST_CONNECTION, "silent");
    else this._setTimer("silence", () => this._checkSilence(), SILENCE_CHECK_MS);
  }

  // Sending

  /** Send what the server's limit and the network take; then, if asked, the stop. */
  _pump() {
    // Between the server's close and `onclose` the socket takes nothing: what waits stays held.
    if (this.state !== "started" || this._socket.readyState !== OPEN) return;
    let sentAny = false;
    this._sendFinalize();
    while (this.queuedBytes && !this._isNetworkFull()) {
      const roomBytes = this._room();
      if (roomBytes <= 0) break;
      this._sendChunk(this._held.read(this.sentBytes, roomBytes));
      this._sendFinalize();
      sentAny = true;
    }
    if (!this._isResumable) this._held.trim(this.sentBytes);
    if (sentAny) this._reportProgress();
    this._reportCatchUp();
    if (this._stopAsked && !this.queuedBytes) {
      this.state = "stopping";
      this._sendMessage({ type: "stop_transcription" });
    }
  }

  _sendChunk(chunk) {
    this._socket.send(chunk);
    this.sentBytes += chunk.byteLength;
    this._lastSentAt = this._lastAudioAt = Date.now();
    this._unansweredSince ??= this._lastSentAt;
  }

  _sendFinalize() {
    if (this._finalizeAt === null || this._isFinalizeSent || this.sentBytes < this._finalizeAt) return;
    this._isFinalizeSent = true;
    if (this.safeBytes < this._finalizeAt) this._sendMessage({ type: "finalize" });
  }

  _isNetworkFull() {
    const isSlow = this._socket.bufferedAmount > HIGH_WATER_BYTES;
    if (isSlow) this._setTimer("pump", () => this._pump(), BUFFER_POLL_MS);
    if (isSlow !== this.isSlow) {
      this.isSlow = isSlow;
      this._tell("network", { isSlow });
    }
    return isSlow;
  }

  /** How much the next message may have: never past the limit, never half a sample of a limit that is odd. */
  _room() {
    let room = Math.min(this.queuedBytes, this._maxMessageBytes);
    if (this._finalizeAt > this.sentBytes && !this._isFinalizeSent) room = Math.min(room, this._finalizeAt - this.sentBytes);
    if (this._limitBytes === null || this.sentBytes + room <= this._limitBytes) return room;
    const credit = this._limitBytes - this.sentBytes;
    return credit - (credit % 2);
  }

  _isFullFor(sizeBytes) {
    const isFull = this._held.size + sizeBytes > MAX_HELD_BYTES;
    if (isFull && !this._isFull) this._tell("buffer-full", { heldBytes: this._held.size, safeBytes: this.safeBytes });
    this._isFull = isFull;
    return isFull;
  }

  _sendMessage(message) {
    if (this._socket.readyState !== OPEN) return;
    this._socket.send(JSON.stringify(message));
    this._lastSentAt = Date.now();
  }

  // Telling

  _reportProgress() {
    const { sentBytes, queuedBytes, safeBytes } = this;
    this._tell("progress", { sentBytes, queuedBytes, safeBytes });
  }

  _reportCatchUp() {
    if (!this._catchUp || this.sentBytes < this._catchUp.at) return;
    const { lateBytes } = this._catchUp;
    this._catchUp = null;
    this._tell("caught-up", { lateBytes });
  }

  _end(code, reason) {
    if (this.state === "closed") return;
    this.state = "closed";
    globalThis.removeEventListener?.("online", this._onOnline);
    this._dropConnection();
    const unsettledBytes = this._held.end - this.safeBytes;
    this._held = new HeldAudio(this._held.end);
    this._tell("closed", { code, reason, error: this.lastError, stopped: this.stopped, unsettledBytes });
  }

  _tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  _setTimer(name, callback, delayMs) {
    this._clearTimer(name);
    const run = () => {
      this._timers.delete(name);
      callback();
    };
    this._timers.set(name, setTimeout(run, delayMs));
  }

  _clearTimer(name) {
    clearTimeout(this._timers.get(name));
    this._timers.delete(name);
  }
}

const HANDLERS = {
  session_created: TranscriptionSocket.prototype._onCreated,
  transcription_started: TranscriptionSocket.prototype._onStarted,
  transcription_resumed: TranscriptionSocket.prototype._onResumed,
  transcript: TranscriptionSocket.prototype._onTranscript,
  audio_ack: TranscriptionSocket.prototype._onAck,
  revised({ from_segment: fromSegment }) {
    this.receivedSegments = Math.min(this.receivedSegments, fromSegment);
  },
  transcription_stopped(message) {
    this.stopped = message;
    this._settle(message.safe);
  },
  error(message) {
    this.lastError = this._connectionError = message;
    this._settle(message.safe);
  },
};
