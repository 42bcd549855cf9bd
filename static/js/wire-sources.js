/** Where the API page's sound comes from, in the interfaces of capture.js and audio-file.js but as it goes on the wire. */

import { AudioFile } from "./audio-file.js";
import { BYTES_PER_SECOND } from "./pcm.js";

const BLOCK_MS = 100;
const BLOCK_BYTES = (BYTES_PER_SECOND * BLOCK_MS) / 1000;

/** A microphone (or what acts as one), each block converted. */
export class WireMicrophone extends EventTarget {
  constructor(microphone, wire) {
    super();
    this.microphone = microphone;
    this.wire = wire;
    microphone.addEventListener("block", ({ detail }) => this._tell("block", { ...detail, pcm: wire.encode(detail.pcm) }));
    for (const name of ["mute", "unmute", "lost", "ended"]) microphone.addEventListener(name, () => this._tell(name));
  }

  start() {
    return this.microphone.start();
  }

  async stop() {
    await this.microphone.stop();
    const pcm = this.wire.flush();
    if (pcm.byteLength) this._tell("block", { pcm, peak: 0, rms: 0, durationMs: 0 });
  }

  _tell(name, detail = null) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** A file, each chunk converted; they are asked for in order. */
export class WireFile {
  constructor(audioFile, wire) {
    this.audioFile = audioFile;
    this.wire = wire;
  }

  get durationMs() {
    return this.audioFile.durationMs;
  }

  /** One more than the file's: the last is what the conversion still holds. */
  get chunkCount() {
    return this.audioFile.chunkCount + 1;
  }

  decode(maxDurationMs) {
    return this.audioFile.decode(maxDurationMs);
  }

  chunk(index) {
    return index < this.audioFile.chunkCount ? this.wire.encode(this.audioFile.chunk(index)) : this.wire.flush();
  }

  release() {
    this.audioFile.release();
  }
}

/** A recording that is heard while it is sent, as fast as it was spoken. `ended` follows its last block. */
export class SampleMicrophone extends EventTarget {
  constructor(url) {
    super();
    this.url = url;
    this._timer = null;
    this._isStopped = false;
  }

  /** Raises FileError where the sample cannot be read, and what fetch raises. */
  async start() {
    const blob = await (await fetch(this.url)).blob();
    const file = new AudioFile(blob);
    await file.decode(Number.POSITIVE_INFINITY);
    if (this._isStopped) return;
    this._blocks = blocksOf(file);
    file.release();
    this._next = 0;
    this._player = new Audio(this.url);
    this._player.play().catch(() => {}); // without loudspeakers it is still sent
    this._startedAt = performance.now();
    this._timer = setInterval(() => this._keepUp(), BLOCK_MS / 2);
  }

  async stop() {
    this._isStopped = true;
    clearInterval(this._timer);
    this._player?.pause();
  }

  /** Timers of hidden pages are slow: what is due by the clock is sent at once. */
  _keepUp() {
    const due = Math.floor((performance.now() - this._startedAt) / BLOCK_MS);
    while (!this._isStopped && this._next < Math.min(due, this._blocks.length)) {
      const pcm = this._blocks[this._next];
      this._next += 1;
      this.dispatchEvent(new CustomEvent("block", { detail: { pcm, peak: 0.3, rms: 0.1, durationMs: BLOCK_MS } }));
    }
    if (this._isStopped || this._next < this._blocks.length) return;
    clearInterval(this._timer);
    this.dispatchEvent(new CustomEvent("ended"));
  }
}

function blocksOf(file) {
  const blocks = [];
  for (let index = 0; index < file.chunkCount; index += 1) {
    const chunk = file.chunk(index);
    for (let start = 0; start < chunk.byteLength; start += BLOCK_BYTES) blocks.push(chunk.slice(start, start + BLOCK_BYTES));
  }
  return blocks;
}
