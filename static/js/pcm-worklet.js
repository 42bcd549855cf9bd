/** Gathers the microphone's 128-sample quanta into blocks of 100 ms and posts them, as floats at the context's rate. */

const BLOCKS_PER_SECOND = 10;

class PcmWorklet extends AudioWorkletProcessor {
  constructor() {
    super();
    this.size = Math.round(sampleRate / BLOCKS_PER_SECOND);
    this.block = new Float32Array(this.size);
    this.filled = 0;
    this.running = true;
    this.port.onmessage = ({ data }) => {
      if (data.type === "stop") this.stop();
    };
  }

  process(inputs) {
    const input = inputs[0];
    if (input.length) this.append(input);
    return this.running;
  }

  append(channels) {
    for (let i = 0; i < channels[0].length; i += 1) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.block[this.filled] = sum / channels.length;
      this.filled += 1;
      if (this.filled === this.size) this.post();
    }
  }

  post() {
    const samples = this.block.slice(0, this.filled);
    this.port.postMessage({ type: "block", samples }, [samples.buffer]);
    this.filled = 0;
  }

  /** The last, shorter block carries the end of the last word. */
  stop() {
    if (this.filled) this.post();
    this.running = false;
    this.port.postMessage({ type: "stopped" });
  }
}

registerProcessor("pcm-worklet", PcmWorklet);
