/** The waveform of a recording, drawn from peaks, with what is marked on it; a slider for mouse, finger and keyboard. */

import { formatDuration } from "../format.js";
import { gettext, interpolate } from "../i18n.js";

const BAR_PX = 2;
const GAP_PX = 1;
const STEP_MS = 5_000;
const PAGE_MS = 30_000;
const MARK_PX = 3;

/** The loudest peak under each of `bars` bars. Pure. peaks: 0.0 to 1.0 of full scale. */
export function barHeights(peaks, bars) {
  const heights = new Float32Array(bars);
  if (!peaks.length) return heights;
  for (let i = 0; i < bars; i += 1) {
    const from = Math.floor((i * peaks.length) / bars);
    const to = Math.max(from + 1, Math.floor(((i + 1) * peaks.length) / bars));
    for (let j = from; j < to; j += 1) heights[i] = Math.max(heights[i], peaks[j]);
  }
  return heights;
}

export class Waveform {
  /** onSeek(ms): the person chose another position. */
  constructor(element, { durationMs, onSeek }) {
    this.element = element;
    this.durationMs = durationMs;
    this.onSeek = onSeek;
    this.peaks = [];
    this.marks = { doubts: [], gaps: [], bookmarks: [] }; // [{startMs, endMs}]
    this.positionMs = 0;
    this.played = element.querySelector("[data-wave-played]");
    this.head = element.querySelector("[data-wave-head]");
    this.canvases = [...element.querySelectorAll("canvas")]; // what is ahead, and the same in the colour of what was heard
    this._drag = null;
  }

  connect() {
    new ResizeObserver(() => this.draw()).observe(this.element);
    new MutationObserver(() => this.draw()).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.element.addEventListener("keydown", (event) => this._onKey(event));
    this.element.addEventListener("pointerdown", (event) => this._onDown(event));
    this.element.addEventListener("pointermove", (event) => {
      if (this._drag === event.pointerId) this._seekTo(event);
    });
    for (const name of ["pointerup", "pointercancel"]) this.element.addEventListener(name, () => { this._drag = null; });
    this.element.setAttribute("aria-valuemin", "0");
    this.setDuration(this.durationMs);
  }

  setDuration(ms) {
    this.durationMs = ms;
    this.element.setAttribute("aria-valuemax", String(Math.round(ms / 1000)));
    this.draw();
    this.setPosition(this.positionMs);
  }

  setPeaks(peaks) {
    this.peaks = peaks;
    this.draw();
  }

  mark(marks) {
    this.marks = { ...this.marks, ...marks };
    this.draw();
  }

  setPosition(ms) {
    this.positionMs = ms;
    const share = `${this._share(ms) * 100}%`;
    this.played.style.inlineSize = share;
    this.head.style.insetInlineStart = share;
    const second = String(Math.round(ms / 1000));
    if (this.element.getAttribute("aria-valuenow") === second) return;
    this.element.setAttribute("aria-valuenow", second);
    const values = { time: formatDuration(ms), length: formatDuration(this.durationMs) };
    this.element.setAttribute("aria-valuetext", interpolate(gettext("%(time)s of %(length)s"), values));
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    for (const canvas of this.canvases) {
      const pen = this._pen(canvas, width, height);
      if (canvas === this.canvases[0]) this._drawMarks(pen, width, height);
      pen.fillStyle = getComputedStyle(canvas).color;
      this._drawBars(pen, width, height);
    }
  }

  _pen(canvas, width, height) {
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.inlineSize = `${width}px`;
    const pen = canvas.getContext("2d");
    if (getComputedStyle(this.element).direction === "rtl") pen.setTransform(-scale, 0, 0, scale, canvas.width, 0);
    else pen.scale(scale, scale);
    return pen;
  }

  _drawBars(pen, width, height) {
    const step = BAR_PX + GAP_PX;
    const middle = height / 2;
    for (const [i, share] of barHeights(this.peaks, Math.floor(width / step)).entries()) {
      // A line where it is silent, so that the length of the recording can be seen.
      const half = Math.max(0.5, share * (middle - MARK_PX - 1));
      pen.fillRect(i * step, middle - half, BAR_PX, 2 * half);
    }
  }

  /** Lost audio over the whole height, doubts along the bottom, bookmarks along the top: told apart without colours. */
  _drawMarks(pen, width, height) {
    const { gaps, doubts, bookmarks } = this.marks;
    const span = ({ startMs, endMs = startMs }) => {
      const from = this._share(startMs) * width;
      return [from, Math.max(MARK_PX, this._share(endMs) * width - from)];
    };
    for (const [marks, name, top, tall] of [
      [gaps, "gap", 0, height],
      [doubts, "doubt", height - MARK_PX, MARK_PX],
      [bookmarks, "bookmark", 0, MARK_PX * 3],
    ]) {
      pen.fillStyle = this._colour(name);
      for (const mark of marks) {
        const [from, wide] = span(mark);
        pen.fillRect(from, top, name === "bookmark" ? MARK_PX : wide, tall);
      }
    }
  }

  /** A colour as the style sheet has it now; canvases know no variables. */
  _colour(name) {
    return getComputedStyle(this.element.querySelector(`[data-colour="${name}"]`)).color;
  }

  _share(ms) {
    return this.durationMs ? Math.max(0, Math.min(1, ms / this.durationMs)) : 0;
  }

  _onDown(event) {
    if (event.button) return;
    this._drag = event.pointerId;
    this.element.setPointerCapture(event.pointerId);
    this._seekTo(event);
  }

  _seekTo(event) {
    const { left, right, width } = this.element.getBoundingClientRect();
    const isRtl = getComputedStyle(this.element).direction === "rtl";
    const x = isRtl ? right - event.clientX : event.clientX - left;
    this.onSeek(Math.max(0, Math.min(1, x / width)) * this.durationMs);
  }

  _onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const forward = getComputedStyle(this.element).direction === "rtl" ? -1 : 1;
    const steps = {
      ArrowRight: forward * STEP_MS,
      ArrowLeft: -forward * STEP_MS,
      PageUp: PAGE_MS,
      PageDown: -PAGE_MS,
      Home: -Infinity,
      End: Infinity,
    };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.onSeek(Math.max(0, Math.min(this.durationMs, this.positionMs + steps[event.key])));
  }
}
