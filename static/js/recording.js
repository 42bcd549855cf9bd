/**
 * One recording, from the click to the last word: a source of audio, a socket, and what became of it. No DOM.
 *
 * Events: `state` {state}; `transcript` (the wire's event); `level` {peak, word}; `notice` {name, ...};
 * `progress` {sentMs, safeMs, queuedMs}; `ended` {outcome, safeMs, sentMs, error, stopped}.
 *
 * States: connecting, recording, paused, finishing, ended.
 * Outcomes: saved, limit, stopped_by_operator, lost, unreachable, failed, cancelled, unfinished.
 */

import { LevelJudge } from "./level.js";
import { bytesToMs } from "./pcm.js";

/** With nothing heard from the server for this long after Stop, the last words are given up. */
export const FINISH_TIMEOUT_MS = 10_000;
/** A file is sent faster than it is recognised, so what is left of it may take long and be silent meanwhile. */
export const FILE_FINISH_TIMEOUT_MS = 60_000;
/** A file waits while this much of it is queued. */
const FILE_QUEUE_BYTES = 256 * 1024;
const ORDERLY_ENDS = new Map([[4410, "limit"], [4490, "stopped_by_operator"]]);
const LOST_CODES = new Set([0, 1001, 1005, 1006, 1011, 1012]);

class Recording extends EventTarget {
  constructor(socket) {
    super();
    this.socket = socket;
    this.state = "idle";
    this.hasStarted = false;
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
    return bytesToMs(this.socket.sentBytes + this.socket.queuedBytes);
  }

  cancel() {
    this._end("cancelled", null);
    this.socket.close();
  }

  _listen() {
    const on = (name, listener) => this.socket.addEventListener(name, ({ detail }) => listener(detail));
    on("transcription_started", () => this._onStarted());
    on("transcript", (detail) => this._forward("transcript", detail));
    on("recogniser_status", (detail) => this._notice("recogniser", detail));
    on("session_expiring", (detail) => this._notice("expiring", detail));
    on("network", (detail) => this._notice("network", detail));
    on("progress", () => this._onProgress());
    on("closed", (detail) => this._onClosed(detail));
    for (const name of ["transcript", "audio_ack", "recogniser_status"]) on(name, () => this._restartFinishTimer());
  }

  _onStarted() {
    this.hasStarted = true;
    if (this.state === "connecting") this._become("recording");
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
    if (this.state !== "finishing") return;
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
    const { safeMs, sentMs, hasStarted } = this;
    this._forward("ended", { outcome, safeMs, sentMs, hasStarted, error: closed?.error ?? null, stopped: closed?.stopped ?? null });
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
export function outcomeOf({ code, error, stopped }, hasStarted) {
  if (code === 1000 && stopped) return "saved";
  const told = error?.code ?? code;
  if (ORDERLY_ENDS.has(told)) return ORDERLY_ENDS.get(told);
  if (error && (error.code === code || LOST_CODES.has(code) || !hasStarted)) return "failed";
  if (LOST_CODES.has(code)) return hasStarted ? "lost" : "unreachable";
  return "failed";
}

export class MicrophoneRecording extends Recording {
  constructor(socket, microphone) {
    super(socket);
    this.microphone = microphone;
    this.judge = new LevelJudge();
    this.levelWord = "normal";
    this._isBufferFull = false;
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

  pause() {
    if (this.state === "recording") this._become("paused");
  }

  resume() {
    if (this.state === "paused") this._become("recording");
  }

  async stop() {
    if (!["connecting", "recording", "paused"].includes(this.state) || this._isStopping) return;
    this._isStopping = true;
    await this.microphone.stop(); // gives out the last block, which must be queued before the stop
    if (this.state !== "ended") this._finish();
  }

  _onBlock({ pcm, peak, durationMs }) {
    if (this.state === "paused" || this.state === "ended") return;
    if (!this.socket.send(pcm) && !this._isBufferFull) {
      this._isBufferFull = true;
      this._notice("buffer_full");
    }
    const word = this.judge.feed(peak, durationMs);
    this._forward("level", { peak, word });
    if (word !== this.levelWord) this._notice("level", { word });
    this.levelWord = word;
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
