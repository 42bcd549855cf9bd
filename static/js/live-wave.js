/**
 * Plays a WAV file without an end as it comes. An audio element would do, but Chromium's collects several seconds more
 * before it begins, and stays as far behind.
 */

const HEADER_BYTES = 44;
const PCM = 1;
/** After a gap some is collected first, so that the next late block makes none. */
const CUSHION_S = 0.3;

/** bytes: a file's first, at least 44. Returns {channels, rateHz}, or null for what is no 16-bit PCM. Pure. */
export function readHeader(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint16(20, true) !== PCM || view.getUint16(34, true) !== 16) return null;
  return { channels: view.getUint16(22, true), rateHz: view.getUint32(24, true) };
}

/** 16-bit samples, one channel after the other within each set. Returns a Float32Array of each channel. Pure. */
export function splitChannels(bytes, channels) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = Math.floor(bytes.length / (2 * channels));
  return Array.from({ length: channels }, (_, channel) =>
    Float32Array.from({ length: count }, (_sample, i) => view.getInt16(2 * (i * channels + channel), true) / 0x8000));
}

export class LiveWave {
  /** makeContext(rateHz): an AudioContext. */
  constructor({ makeContext = (sampleRate) => new AudioContext({ sampleRate }) } = {}) {
    this._makeContext = makeContext;
    this._context = null;
    this._format = null;
    this._kept = new Uint8Array(0); // less than a header, or than a sample
    this._nextS = 0;
  }

  /** Blocks of any length. Returns false for a format that it cannot play. */
  feed(block) {
    let bytes = new Uint8Array(this._kept.length + block.length);
    bytes.set(this._kept);
    bytes.set(block, this._kept.length);
    if (!this._format) {
      this._kept = bytes;
      if (bytes.length < HEADER_BYTES) return true;
      this._format = readHeader(bytes);
      if (!this._format) return false;
      this._context = this._makeContext(this._format.rateHz);
      bytes = bytes.slice(HEADER_BYTES);
    }
    const whole = bytes.length - (bytes.length % (2 * this._format.channels));
    this._kept = bytes.slice(whole);
    if (whole) this._play(bytes.subarray(0, whole));
    return true;
  }

  close() {
    this._context?.close();
    this._context = null;
  }

  _play(bytes) {
    const { channels, rateHz } = this._format;
    const parts = splitChannels(bytes, channels);
    const buffer = this._context.createBuffer(channels, parts[0].length, rateHz);
    parts.forEach((samples, channel) => buffer.copyToChannel(samples, channel));
    const source = this._context.createBufferSource();
    source.buffer = buffer;
    source.connect(this._context.destination);
    if (this._nextS < this._context.currentTime) this._nextS = this._context.currentTime + CUSHION_S;
    source.start(this._nextS);
    this._nextS += buffer.duration;
  }
}
