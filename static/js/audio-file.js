/** A file as a stream of 16 kHz mono PCM16 chunks: anything the browser itself can decode. */

import { floatToPcm16, mixToMono, Resampler, SAMPLE_RATE_HZ } from "./pcm.js";

/** Decoding holds the whole file in memory, as compressed bytes and as floats. */
export const MAX_FILE_BYTES = 500_000_000;
const CHUNK_SAMPLES = SAMPLE_RATE_HZ; // one second
const NATIVE_RATE_HZ = 48_000;

/** The file cannot be used. reason: "empty", "size", "decode", "length". */
export class FileError extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

export class AudioFile {
  constructor(file) {
    this.file = file;
    this.name = file.name;
    this.durationMs = 0;
    this._samples = null;
  }

  /** Raises FileError. maxDurationMs: the longest session the server takes. */
  async decode(maxDurationMs) {
    if (!this.file.size) throw new FileError("empty");
    if (this.file.size > MAX_FILE_BYTES) throw new FileError("size");
    this._samples = await decodeToMono(this.file);
    this.durationMs = Math.round((this._samples.length * 1000) / SAMPLE_RATE_HZ);
    if (!this._samples.length) throw new FileError("empty");
    if (this.durationMs > maxDurationMs) throw new FileError("length");
  }

  get chunkCount() {
    return Math.ceil(this._samples.length / CHUNK_SAMPLES);
  }

  /** The n-th second as PCM16. */
  chunk(index) {
    return floatToPcm16(this._samples.subarray(index * CHUNK_SAMPLES, (index + 1) * CHUNK_SAMPLES));
  }

  release() {
    this._samples = null;
  }
}

async function decodeToMono(file) {
  const audio = await decode(file, SAMPLE_RATE_HZ);
  const channels = Array.from({ length: audio.numberOfChannels }, (_, index) => audio.getChannelData(index));
  const mono = mixToMono(channels);
  if (audio.sampleRate === SAMPLE_RATE_HZ) return mono;
  const resampler = new Resampler(audio.sampleRate);
  const [body, tail] = [resampler.process(mono), resampler.flush()];
  const whole = new Float32Array(body.length + tail.length);
  whole.set(body);
  whole.set(tail, body.length);
  return whole;
}

/** An offline context decodes to its own rate; one that refuses 16 kHz is asked for 48 kHz. */
async function decode(file, rateHz) {
  let context;
  try {
    context = new OfflineAudioContext(1, 1, rateHz);
  } catch {
    return decode(file, NATIVE_RATE_HZ);
  }
  try {
    return await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new FileError("decode");
  }
}
