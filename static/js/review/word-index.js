/** All words of a transcript by time and by doubt. Pure. */

/** A place is {key, word}: the segment's key, and the number of the word in it. */
export class WordIndex {
  /** segments: [{key, startMs, endMs, words: [{startMs, endMs, confidence}]}] in order of time. */
  constructor(segments) {
    this.segments = segments;
    this.places = [];
    this.starts = [];
    this.firsts = new Map(); // key -> position of the segment's first word
    for (const [number, { key, words }] of segments.entries()) {
      this.firsts.set(key, this.places.length);
      for (const [word, { startMs, endMs, confidence }] of words.entries()) {
        this.places.push({ key, number, word, startMs, endMs, confidence });
        this.starts.push(startMs);
      }
    }
  }

  /** The word that is heard at a time, or the last before it; null before the first. */
  wordAt(ms) {
    return this.places[lastAtOrBefore(this.starts, ms)] ?? null;
  }

  /** The segment that is heard at a time, or the last before it; null before the first. */
  segmentAt(ms) {
    this._segmentStarts ??= this.segments.map(({ startMs }) => startMs);
    return this.segments[lastAtOrBefore(this._segmentStarts, ms)] ?? null;
  }

  /** The word so many words further; at the ends the first or last one. */
  step(ms, words) {
    const at = lastAtOrBefore(this.starts, ms) + words;
    return this.places[Math.max(0, Math.min(this.places.length - 1, at))] ?? null;
  }

  /** Places of words below a confidence, in order. What no recogniser judged is not doubted. */
  doubtful(threshold) {
    return this.places.filter(({ confidence }) => confidence !== null && confidence < threshold);
  }

  position({ key, word }) {
    return (this.firsts.get(key) ?? 0) + word;
  }
}

/** Index of the last number that is not above x, -1 where all are. */
export function lastAtOrBefore(sorted, x) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= x) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Steps through some places of a transcript, round and round. */
export class Stepper {
  constructor(places) {
    this.places = places;
    this.at = -1;
  }

  get current() {
    return this.places[this.at] ?? null;
  }

  /** The next or previous place from where it stands; the first time from what is heard at fromMs. */
  step(forward, fromMs = null) {
    const count = this.places.length;
    if (!count) return null;
    if (this.at >= 0) this.at = (this.at + (forward ? 1 : count - 1)) % count;
    else this.at = this._nearest(forward, fromMs ?? 0);
    return this.current;
  }

  _nearest(forward, fromMs) {
    const starts = this.places.map(({ startMs }) => startMs);
    const at = forward ? lastAtOrBefore(starts, fromMs - 1) + 1 : lastAtOrBefore(starts, fromMs);
    return (at + starts.length) % starts.length;
  }
}
