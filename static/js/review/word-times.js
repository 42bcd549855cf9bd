/** Which word of a text was said when. Pure. */

import { findWords, matchWords } from "./word-diff.js";

/**
 * Give every word of a text its time. Words that are as the recogniser's keep theirs and its confidence; a run of
 * others shares the time between its neighbours. Without any word times the whole segment is shared.
 *
 * segment: {text, words: [{word, start_ms, end_ms, confidence}], startMs, endMs}
 * Returns [{at, text, startMs, endMs, confidence}], at: its first character in the text, confidence null where it is not known or a person wrote the word.
 */
export function timeWords({ text, words = [], startMs, endMs }) {
  const found = findWords(text);
  const written = found.map((word) => word.text);
  const heard = words.flatMap((word) => spread(word));
  const timed = new Array(written.length);
  const pairs = heard.length === written.length && heard.every((word, i) => isSame(word.word, written[i]))
    ? written.map((_, i) => [i, i])
    : matchWords(heard.map(({ word }) => plain(word)), written.map(plain));
  for (const [i, j] of pairs) {
    const { start_ms: from, end_ms: to, confidence } = heard[i];
    timed[j] = { ...found[j], startMs: from, endMs: to, confidence: confidence || null };
  }
  return shareRest(found, timed, startMs, endMs);
}

/** Words are the same with or without the punctuation and capitals that the recogniser adds to the text alone. */
function isSame(heard, written) {
  return plain(heard) === plain(written);
}

function plain(word) {
  return word.toLowerCase().replace(/[^\p{L}\p{M}\p{N}]/gu, "");
}

/** A "word" with a space in it is several that share its time. */
function spread(word) {
  const parts = findWords(word.word);
  if (parts.length <= 1) return parts.length ? [word] : [];
  const step = (word.end_ms - word.start_ms) / parts.length;
  return parts.map((part, i) => ({
    ...word,
    word: part.text,
    start_ms: Math.round(word.start_ms + i * step),
    end_ms: Math.round(word.start_ms + (i + 1) * step),
  }));
}

function shareRest(found, timed, startMs, endMs) {
  for (let first = 0; first < found.length; first += 1) {
    if (timed[first]) continue;
    let end = first;
    while (end < found.length && !timed[end]) end += 1;
    const from = first ? timed[first - 1].endMs : startMs;
    const to = Math.max(from, end < found.length ? timed[end].startMs : endMs);
    const step = (to - from) / (end - first);
    for (let i = first; i < end; i += 1) {
      timed[i] = {
        ...found[i],
        startMs: Math.round(from + (i - first) * step),
        endMs: Math.round(from + (i - first + 1) * step),
        confidence: null,
      };
    }
    first = end;
  }
  return timed;
}
