/** Runs beside the page: turns the microphone's floats into blocks of 100 ms of 16-bit samples. */

class Microphone extends AudioWorkletProcessor {
  #block = new Int16Array(Math.round(sampleRate / 10));
  #filled = 0;

  process([[channel]]) {
    for (const value of channel ?? []) {
      const clamped = Math.max(-1, Math.min(1, value));
      this.#block[this.#filled] = clamped < 0 ? clamped * 0x8000 : clamped * 0x7fff;
      this.#filled += 1;
      if (this.#filled === this.#block.length) this.#post();
    }
    return true;
  }

  #post() {
    const block = this.#block.slice();
    this.port.postMessage(block.buffer, [block.buffer]);
    this.#filled = 0;
  }
}

registerProcessor("microphone", Microphone);
