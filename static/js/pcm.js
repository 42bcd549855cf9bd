/** Sound as numbers: floats, 16-bit samples, rates and levels. Pure, so that it runs in pages, worklets and tests. */

export const SAMPLE_RATE_HZ = 16_000;
export const BYTES_PER_SECOND = 2 * SAMPLE_RATE_HZ;

export function bytesToMs(bytes) {
  return Math.floor((bytes * 1000) / BYTES_PER_SECOND);
}

/**
 * Floats in [-1, 1] to 16-bit little-endian PCM. What is louder is clipped; NaN becomes silence.
 * Returns an ArrayBuffer of 2 bytes a sample.
 */
export function floatToPcm16(samples) {
  const view = new DataView(new ArrayBuffer(samples.length * 2));
  for (let i = 0; i < samples.length; i += 1) {
    const sample = Math.max(-1, Math.min(1, samples[i] || 0));
    view.setInt16(i * 2, Math.round(sample < 0 ? sample * 32768 : sample * 32767), true);
  }
  return view.buffer;
}

/** The mean of all channels. channels: Float32Arrays of one length; a single one is returned as it is. */
export function mixToMono(channels) {
  if (channels.length === 1) return channels[0];
  const mono = new Float32Array(channels[0]?.length ?? 0);
  for (const channel of channels) {
    for (let i = 0; i < mono.length; i += 1) mono[i] += channel[i] / channels.length;
  }
  return mono;
}

/** {peak, rms} of a block, 0.0-1.0 each. */
export function measureLevel(samples) {
  let peak = 0;
  let sum = 0;
  for (const sample of samples) {
    peak = Math.max(peak, Math.abs(sample));
    sum += sample * sample;
  }
  return { peak, rms: samples.length ? Math.sqrt(sum / samples.length) : 0 };
}

const ZERO_CROSSINGS = 16;
const TABLE_STEPS = 512;

/**
 * Changes the sample rate of a stream of blocks with a windowed sinc, low-passed below the smaller Nyquist frequency.
 *
 * `process` may be given blocks of any size; the joints are exact: the output does not depend on how the input was
 * cut. `flush` returns what the filter still holds.
 */
export class Resampler {
  constructor(fromHz, toHz = SAMPLE_RATE_HZ) {
    if (!(fromHz > 0 && toHz > 0)) throw new RangeError("sample rates must be positive");
    this.step = fromHz / toHz;
    this.cutoff = Math.min(1, toHz / fromHz) * 0.95;
    this.reach = Math.ceil(ZERO_CROSSINGS / this.cutoff);
    this._table = makeTable(this.reach, this.cutoff);
    this._input = new Float32Array(this.reach); // silence before the first sample
    this._start = -this.reach; // position of _input[0] in the stream
    this._produced = 0;
    this._received = 0;
  }

  process(block) {
    this._received += block.length;
    const joined = new Float32Array(this._input.length + block.length);
    joined.set(this._input);
    joined.set(block, this._input.length);
    this._input = joined;
    const end = this._start + joined.length;
    return this._produce(Math.max(0, Math.ceil((end - this.reach) / this.step)));
  }

  flush() {
    return this._produce(Math.round(this._received / this.step)); // beyond the end is silence
  }

  /** Output samples up to (not including) index `upTo`. */
  _produce(upTo) {
    const output = new Float32Array(Math.max(0, upTo - this._produced));
    for (let i = 0; i < output.length; i += 1) {
      output[i] = this._sampleAt((this._produced + i) * this.step);
    }
    this._produced += output.length;
    const keepFrom = Math.floor(this._produced * this.step) - this.reach;
    if (keepFrom > this._start) {
      this._input = this._input.slice(keepFrom - this._start);
      this._start = keepFrom;
    }
    return output;
  }

  _sampleAt(position) {
    const first = Math.ceil(position - this.reach);
    const last = Math.floor(position + this.reach);
    let sum = 0;
    for (let i = first; i <= last; i += 1) {
      sum += (this._input[i - this._start] ?? 0) * this._weight(i - position);
    }
    return sum;
  }

  /** From the table, interpolated: two sines for each of some hundred taps would cost twenty times as much. */
  _weight(distance) {
    const place = Math.abs(distance) * TABLE_STEPS;
    const index = Math.floor(place);
    const share = place - index;
    return this._table[index] * (1 - share) + this._table[index + 1] * share;
  }
}

/** One side of the windowed sinc, TABLE_STEPS entries for each input sample. */
function makeTable(reach, cutoff) {
  const table = new Float32Array((reach + 1) * TABLE_STEPS + 2);
  for (let i = 0; i < table.length; i += 1) {
    const distance = i / TABLE_STEPS;
    const x = Math.PI * distance * cutoff;
    const sinc = x === 0 ? 1 : Math.sin(x) / x;
    const window = distance > reach + 1 ? 0 : 0.5 + 0.5 * Math.cos((Math.PI * distance) / (reach + 1)); // Hann
    table[i] = cutoff * sinc * window;
  }
  return table;
}
