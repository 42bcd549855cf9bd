/** Finding and replacing in texts. Pure. */

/** More is not listed; nobody steps through it. */
export const MAX_HITS = 5_000;

/** The pattern of a plain query; null where there is nothing to look for. */
export function patternOf(query, matchCase) {
  if (!query) return null;
  return new RegExp(query.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), matchCase ? "gu" : "giu");
}

/** segments: [{key, text}]. Returns [{key, start, end}], positions in the text. */
export function findHits(segments, query, { matchCase = false } = {}) {
  const pattern = patternOf(query, matchCase);
  const hits = [];
  if (!pattern) return hits;
  for (const { key, text } of segments) {
    for (const match of text.matchAll(pattern)) {
      hits.push({ key, start: match.index, end: match.index + match[0].length });
      if (hits.length === MAX_HITS) return hits;
    }
  }
  return hits;
}

/** The text with one hit replaced. */
export function replaceHit(text, { start, end }, replacement) {
  return text.slice(0, start) + replacement + text.slice(end);
}
