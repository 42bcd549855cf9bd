/**
 * What a running recording writes into the store of the browser: its audio five times a second, what is settled, the token
 * to resume it with. Where the store fails (full, blocked) the journal ends silently; the recording goes on.
 */

import { bytesToMs } from "./pcm.js";

/**
 * 200 ms, the most that a crash can lose; a page that is reloaded writes the rest while it goes. Pieces of a second lost
 * words that the service had heard already: recovering withdraws what it made of them when the connection broke.
 */
const PIECE_BYTES = 6_400;
/** A store that answers nothing is left alone before its queue grows. */
export const MAX_WAITING_WRITES = 100;

/** The entry of a new recording. owner: who is logged in; others at this browser are not offered it. */
export function newRecording({ sessionId, owner, config, title, startedAt }) {
  return { id: sessionId, owner, sessionId, hasStarted: false, resumeToken: null, config, title, startedAt, basisBytes: 0, safeBytes: 0 };
}

export class RecordingJournal {
  /** recording: as in recording-store.js. endBytes: how much audio of it the store has. */
  constructor(store, recording, endBytes = 0) {
    this.recording = recording;
    this.isOn = true;
    this._store = store;
    this._endBytes = endBytes;
    this._isAdded = endBytes > 0;
    this._waiting = []; // blocks not written yet
    this._waitingBytes = 0;
    this._writes = 0;
    this._claim = null;
  }

  /** Take part in what happens to a session: how far it is settled, and its token. */
  follow(socket) {
    this._claim ??= this._store.claim(this.recording.id);
    socket.addEventListener("transcription_started", ({ detail }) => this._change({ hasStarted: true, resumeToken: detail.resume_token }));
    socket.addEventListener("progress", ({ detail }) => this._settle(detail.safeBytes));
  }

  append(pcm) {
    if (!this.isOn) return;
    this._waiting.push(new Uint8Array(pcm));
    this._waitingBytes += pcm.byteLength;
    if (this._waitingBytes >= PIECE_BYTES) this.flush();
  }

  /** Write what waits, now. */
  flush() {
    if (!this.isOn || !this._waitingBytes) return;
    if (!this._isAdded) {
      this._isAdded = true;
      this._run(() => this._store.add(this.recording));
    }
    this._endBytes += this._waitingBytes;
    const piece = join(this._waiting, this._waitingBytes);
    this._waiting = [];
    this._waitingBytes = 0;
    this._run(() => this._store.addAudio(this.recording.id, this._endBytes, piece));
  }

  /** The session could not be resumed: what is held goes into a new one, whose first byte is `basisBytes`. */
  moveTo(sessionId, basisBytes) {
    this._change({ sessionId, basisBytes, resumeToken: null });
  }

  /** The service has all of it, or nobody wants it. */
  async discard() {
    this.isOn = false;
    await this._store.remove(this.recording.id).catch(() => {});
    await this.release();
  }

  /** Leave what is kept to the next visit. */
  async release() {
    this.flush();
    this.isOn = false;
    (await this._claim)?.();
  }

  get capturedMs() {
    return bytesToMs(this._endBytes + this._waitingBytes);
  }

  _settle(safeBytes) {
    const settled = this.recording.basisBytes + safeBytes;
    if (settled <= this.recording.safeBytes) return;
    this.recording = { ...this.recording, safeBytes: settled };
    if (this._isAdded) this._run(() => this._store.settle(this.recording));
  }

  _change(fields) {
    this.recording = { ...this.recording, ...fields };
    if (this._isAdded) this._run(() => this._store.update(this.recording));
  }

  async _run(write) {
    if (!this.isOn) return;
    if (this._writes >= MAX_WAITING_WRITES) {
      this.isOn = false;
      return;
    }
    this._writes += 1;
    try {
      await write();
    } catch {
      this.isOn = false;
    } finally {
      this._writes -= 1;
    }
  }
}

function join(blocks, size) {
  const joined = new Uint8Array(size);
  let filled = 0;
  for (const block of blocks) {
    joined.set(block, filled);
    filled += block.byteLength;
  }
  return joined;
}
