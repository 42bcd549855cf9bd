/** From the pages' 16 kHz PCM16 to any rate and encoding that the service takes of raw samples. Pure. */

import { floatToPcm16, Resampler, SAMPLE_RATE_HZ } from "./pcm.js";

const BYTES_PER_SAMPLE = { LINEAR_PCM: 2, MULAW: 1, ALAW: 1 };
const MU_LAW_BIAS = 132;
const MU_LAW_CLIP = 32_635;
const A_LAW_MASK = 0x55;
const SIGN_BIT = 0x80;

/** How many bytes a second of mono audio has. */
export function bytesPerSecond({ encoding, sampleRateHz }) {
  return BYTES_PER_SAMPLE[encoding] * sampleRateHz;
}

/** One 16-bit sample as G.711 mu-law, 8 bits. */
export function toMuLaw(sample) {
  const magnitude = Math.min(Math.abs(sample), MU_LAW_CLIP) + MU_LAW_BIAS;
  const exponent = 24 - Math.clz32(magnitude); // the highest bit is one of 7-14
  const mantissa = (magnitude >> (exponent + 3)) & 0x0f;
  return ~((sample < 0 ? SIGN_BIT : 0) | (exponent << 4) | mantissa) & 0xff;
}

/** One 16-bit sample as G.711 A-law, 8 bits. */
export function toALaw(sample) {
  const magnitude = (sample < 0 ? -sample - 1 : sample) >> 3;
  const exponent = Math.max(0, 27 - Math.clz32(magnitude)); // from 32 on each doubling is one more
  const mantissa = (magnitude >> Math.max(1, exponent)) & 0x0f;
  return ((sample < 0 ? 0 : SIGN_BIT) | (exponent << 4) | mantissa) ^ A_LAW_MASK;
}

const COMPANDERS = { MULAW: toMuLaw, ALAW: toALaw };

/** A stream of blocks, converted one after the other. */
export class WireAudio {
  constructor({ encoding, sampleRateHz }) {
    this._compand = COMPANDERS[encoding] ?? null;
    this._resampler = sampleRateHz === SAMPLE_RATE_HZ ? null : new Resampler(SAMPLE_RATE_HZ, sampleRateHz);
  }

  /** pcm: ArrayBuffer of 16-bit samples at 16 kHz. Returns an ArrayBuffer. */
  encode(pcm) {
    return this._finish(this._resampler ? floatToPcm16(this._resampler.process(toFloats(pcm))) : pcm);
  }

  /** What the resampler still holds, at the end. */
  flush() {
    return this._resampler ? this._finish(floatToPcm16(this._resampler.flush())) : new ArrayBuffer(0);
  }

  _finish(pcm) {
    return this._compand ? Uint8Array.from(new Int16Array(pcm), this._compand).buffer : pcm;
  }
}

function toFloats(pcm) {
  return Float32Array.from(new Int16Array(pcm), (sample) => sample / 32_768);
}
