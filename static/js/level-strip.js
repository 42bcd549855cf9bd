/** The last 30 seconds of the input as a scrolling waveform; one bar where motion is not wanted. */

const SLOTS = 300; // one for each block of 100 ms

export class LevelStrip {
  constructor(canvas) {
    this.canvas = canvas;
    this.peaks = new Float32Array(SLOTS);
    this.isCalm = matchMedia("(prefers-reduced-motion: reduce)");
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(canvas);
  }

  push(peak) {
    this.peaks.copyWithin(0, 1);
    this.peaks[SLOTS - 1] = peak;
    this.draw();
  }

  clear() {
    this.peaks.fill(0);
    this.draw();
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(clientHeight * ratio));
    this.draw();
  }

  draw() {
    const context = this.canvas.getContext("2d");
    const { width, height } = this.canvas;
    context.clearRect(0, 0, width, height);
    context.fillStyle = getComputedStyle(this.canvas).color;
    if (this.isCalm.matches) context.fillRect(0, height * 0.3, width * loudness(this.peaks[SLOTS - 1]), height * 0.4);
    else this._drawWave(context, width, height);
  }

  _drawWave(context, width, height) {
    const step = width / SLOTS;
    const bar = Math.max(1, step * 0.62);
    const least = Math.max(1, height * 0.025);
    for (let i = 0; i < SLOTS; i += 1) {
      const size = Math.max(least, loudness(this.peaks[i]) * height);
      context.fillRect(i * step, (height - size) / 2, bar, size);
    }
  }
}

/** Speech sits between -40 and -10 dBFS; a straight scale would leave it a thin line. */
function loudness(peak) {
  return Math.min(1, Math.sqrt(peak));
}
