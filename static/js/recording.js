/**
 * One recording, from the click to the last word: a source of audio, a socket, and what became of it. No DOM.
 *
 * Events: `state` {state}; `connection` {isConnected}; `transcript` and `revised` (the wire's events);
 * `level` {peak, word}; `notice` {name, ...}; `progress` {sentMs, safeMs, queuedMs};
 * `ended` {outcome, safeMs, capturedMs, hasStarted, error, stopped}.
 *
 * States: connecting, recording, paused, finishing, ended. Whether there is a connection is told apart from them: a
 * recording goes on without one.
 * Outcomes: saved, limit, stopped_by_operator, lost, too_late, unreachable, failed, cancelled, unfinished.
 */

import { LevelJudge } from "./level.js";
import { bytesToMs } from "./pcm.js";

/** With nothing heard from the server for this long after Stop, the last words are given up. */
export const FINISH_TIMEOUT_MS = 10_000;
/** A file is sent faster than it is recognised, so what is left of it may take long and be silent meanwhile. */
export const FILE_FINISH_TIMEOUT_MS = 60_000;
/** A file waits while this much of it is queued. */
const FILE_QUEUE_BYTES = 256 * 1024;
/** The service is asked for so long whether a recording of an earlier visit can be taken up. */
export const RECOVER_TIMEOUT_MS = 30_000;
const ORDERLY_ENDS = new Map([[4410, "limit"], [4490, "stopped_by_operator"]]);
const STOPPED_OUTCOMES = { session_timeout: "limit", operator: "stopped_by_operator" };
const NOTHING_TO_RESUME = 4404;
const RECOGNISER_CODES = new Set([4502, 4504]);
const LOST_CODES = new Set([0, 1001, 1005, 1006, 1011, 1012]);

class Recording extends EventTarget {
  constructor(socket) {
    super();
    this.socket = socket;
    this.state = "idle";
    this.hasStarted = false;
    this.isConnected = false;
    this._isDownTold = false;
    this.finishTimeoutMs = FINISH_TIMEOUT_MS;
    this._finishTimer = null;
    this._listen();
  }

  get sentMs() {
    return bytesToMs(this.socket.sentBytes);
  }

  get safeMs() {
    return bytesToMs(this.socket.safeBytes);
  }

  /** The whole of what was captured, sent or waiting. */
  get capturedMs() {
    return bytesToMs(this.socket.endBytes);
  }

  cancel() {
    this._end("cancelled", null);
    this.socket.close();
  }

  _listen() {
    const on = (name, listener) => this.socket.addEventListener(name, ({ detail }) => listener(detail));
    on("transcription_started", () => this._onStarted());
    on("transcript", (detail) => this._forward("transcript", detail));
    on("revised", (detail) => this._forward("revised", detail));
    on("reconnecting", (detail) => this._onReconnecting(detail));
    on("resumed", (detail) => this._onResumed(detail));
    on("caught-up", (detail) => this._onCaughtUp(detail));
    on("recogniser_status", (detail) => this._notice("recogniser", detail));
    on("session_expiring", (detail) => this._notice("expiring", detail));
    on("network", (detail) => this._notice("network", detail));
    on("progress", () => this._onProgress());
    on("closed", (detail) => this._onClosed(detail));
    for (const name of ["transcript", "audio_ack", "recogniser_status"]) on(name, () => this._restartFinishTimer());
  }

  _onStarted() {
    this.hasStarted = true;
    this._setConnected(true);
    if (this.state === "connecting") this._become("recording");
  }

  /** Told once, not with every attempt; and once more when it turns out to be the recogniser. */
  _onReconnecting({ error }) {
    clearTimeout(this._finishTimer); // the last words cannot come now; the socket knows when to give up
    const isDown = RECOGNISER_CODES.has(error?.code);
    const isNews = this.isConnected || (isDown && !this._isDownTold);
    this._isDownTold = isDown || (this._isDownTold && !this.isConnected);
    this._setConnected(false);
    if (isNews) this._notice("connection", { phase: "lost", state: this.state, isRecogniserDown: isDown });
  }

  _onResumed({ lateBytes }) {
    this._setConnected(true);
    this._restartFinishTimer();
    this._notice("connection", { phase: "sending", state: this.state, lateMs: bytesToMs(lateBytes) });
  }

  _onCaughtUp({ lateBytes }) {
    this._notice("buffer_full", { isFull: false });
    this._notice("connection", { phase: "back", state: this.state, lateMs: bytesToMs(lateBytes) });
  }

  _setConnected(isConnected) {
    if (this.isConnected === isConnected) return;
    this.isConnected = isConnected;
    this._forward("connection", { isConnected });
  }

  _onProgress() {
    this._forward("progress", { sentMs: this.sentMs, safeMs: this.safeMs, queuedMs: bytesToMs(this.socket.queuedBytes) });
    if (this.state === "finishing") this._restartFinishTimer();
  }

  _finish() {
    this._become("finishing");
    this.socket.stop();
    this._restartFinishTimer();
  }

  _restartFinishTimer() {
    if (this.state !== "finishing" || (this.hasStarted && !this.isConnected)) return;
    clearTimeout(this._finishTimer);
    this._finishTimer = setTimeout(() => {
      this._end("unfinished", null);
      this.socket.close();
    }, this.finishTimeoutMs);
  }

  _onClosed(closed) {
    this._end(outcomeOf(closed, this.hasStarted), closed);
  }

  _end(outcome, closed) {
    if (this.state === "ended") return;
    clearTimeout(this._finishTimer);
    this._become("ended");
    this._release();
    const { safeMs, capturedMs, hasStarted } = this;
    const { error = null, stopped = null } = closed ?? {};
    this._forward("ended", { outcome, safeMs, capturedMs, hasStarted, error, stopped });
  }

  _become(state) {
    this.state = state;
    this._forward("state", { state });
  }

  _notice(name, detail = {}) {
    this._forward("notice", { ...detail, name });
  }

  _forward(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  _release() {}
}

/** What the end of the connection means to the person. closed: the socket's `closed` event. */
export function outcomeOf({ code, reason, error, stopped }, hasStarted) {
  if (code === 1000 && stopped) return STOPPED_OUTCOMES[stopped.reason] ?? "saved";
  const told = error?.code ?? code;
  if (told === NOTHING_TO_RESUME || error?.reason === "resume_window_over" || reason === "audio_forgotten") return "too_late";
  if (ORDERLY_ENDS.has(told)) return ORDERLY_ENDS.get(told);
  if (error && (error.code === code || LOST_CODES.has(code) || !hasStarted)) return "failed";
  if (LOST_CODES.has(code)) return hasStarted ? "lost" : "unreachable";
  return "failed";
}

export class MicrophoneRecording extends Recording {
  /** journal: keeps the audio in the browser too; null where that is not possible. */
  constructor(socket, microphone, journal = null) {
    super(socket);
    this.microphone = microphone;
    this.journal = journal;
    this.judge = new LevelJudge();
    this.levelWord = "normal";
    microphone.addEventListener("block", ({ detail }) => this._onBlock(detail));
    microphone.addEventListener("mute", () => this._notice("level", { word: "silent" }));
    microphone.addEventListener("unmute", () => this._notice("level", { word: "normal" }));
    microphone.addEventListener("lost", () => this._onMicrophoneLost());
  }

  /** Ask for the microphone, then connect while audio is already kept. Raises what getUserMedia raises. */
  async start() {
    this._become("connecting");
    const starting = this.microphone.start();
    try {
      await starting;
    } catch (error) {
      this.state = "ended";
      throw error;
    }
    if (this.state === "connecting") this.socket.open();
  }

  /** What was said until now becomes final, instead of waiting for the next words. */
  pause() {
    if (this.state !== "recording") return;
    this.socket.finalize();
    this._become("paused");
  }

  resume() {
    if (this.state !== "paused") return;
    this._notice("buffer_full", { isFull: false });
    this._become("recording");
  }

  async stop() {
    if (!["connecting", "recording", "paused"].includes(this.state) || this._isStopping) return;
    this._isStopping = true;
    await this.microphone.stop(); // gives out the last block, which must be queued before the stop
    if (this.state !== "ended") this._finish();
  }

  _onBlock({ pcm, peak, durationMs }) {
    if (this.state === "paused" || this.state === "ended") return;
    if (this.socket.send(pcm)) this.journal?.append(pcm);
    else this._onBufferFull();
    const word = this.judge.feed(peak, durationMs);
    this._forward("level", { peak, word });
    if (word !== this.levelWord) this._notice("level", { word });
    this.levelWord = word;
  }

  /** Nothing more can be held. What was said until now is; going on is for the person to decide. */
  _onBufferFull() {
    if (this.state !== "recording") return;
    this._become("paused");
    this._notice("buffer_full", { isFull: true });
  }

  /** The device is gone; what it heard is finished like a stop. */
  _onMicrophoneLost() {
    this._notice("microphone_lost");
    this.stop();
  }

  _release() {
    this.microphone.stop();
  }
}

export class FileRecording extends Recording {
  constructor(socket, audioFile) {
    super(socket);
    this.audioFile = audioFile;
    this.finishTimeoutMs = FILE_FINISH_TIMEOUT_MS;
    this._next = 0;
  }

  /** Decode, connect, and send as fast as the server allows. Raises FileError. */
  async start(maxDurationMs) {
    this._become("connecting");
    try {
      await this.audioFile.decode(maxDurationMs);
    } catch (error) {
      this.state = "ended";
      throw error;
    }
    if (this.state === "connecting") this.socket.open();
  }

  _onStarted() {
    super._onStarted();
    this._feed();
  }

  _onProgress() {
    super._onProgress();
    this._feed();
  }

  _feed() {
    if (this.state !== "recording" || this._isFeeding) return;
    this._isFeeding = true; // sending reports progress, which would feed again from within
    while (this._next < this.audioFile.chunkCount && this.socket.queuedBytes < FILE_QUEUE_BYTES) {
      if (!this.socket.send(this.audioFile.chunk(this._next))) break;
      this._next += 1;
    }
    this._isFeeding = false;
    if (this._next >= this.audioFile.chunkCount) this._finish();
  }

  _release() {
    this.audioFile.release();
  }
}

/** Audio of an earlier visit that this browser kept: its session is resumed, or a new one made for it, and finished. */
export class RecoveredRecording extends Recording {
  /** socket: with what is held, to resume with. pieces: what is held, where the socket starts a new session. */
  constructor(socket, pieces = []) {
    super(socket);
    this.pieces = pieces;
    this.finishTimeoutMs = FILE_FINISH_TIMEOUT_MS;
    this._recoverTimer = null;
  }

  start() {
    this._become("connecting");
    this._recoverTimer = setTimeout(() => {
      this._end("unreachable", null);
      this.socket.close();
    }, RECOVER_TIMEOUT_MS);
    for (const piece of this.pieces) this.socket.send(piece);
    this.socket.open();
    this.socket.stop();
  }

  _onStarted() {
    this.hasStarted = true;
    this._setConnected(true);
    clearTimeout(this._recoverTimer);
    this._become("finishing");
    this._restartFinishTimer();
  }

  _onResumed(resumed) {
    if (this.hasStarted) super._onResumed(resumed);
    else this._onStarted();
  }

  _onReconnecting(detail) {
    if (this.hasStarted) super._onReconnecting(detail);
  }

  _onCaughtUp() {
    // all of it is late; that is what the person asked for
  }

  _release() {
    clearTimeout(this._recoverTimer);
  }
}
