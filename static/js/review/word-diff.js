/** What differs between two texts, word by word. Pure. */

/** Cells of the table of one comparison; texts that differ over more are shown as replaced whole. */
const MAX_CELLS = 1_000_000;

// Han, Hiragana, Katakana: each character is a word of its own, with the marks that follow it. As the server divides.
const UNSPACED = "\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\u{20000}-\\u{3ffff}";
const MARKS = "\\u3000-\\u303f\\uff00-\\uff0f\\uff1a-\\uff20";
const WORD = new RegExp(`[${UNSPACED}][${MARKS}]*|[^\\s${UNSPACED}]+`, "gu");

/** The words of a text, each with the place of its first character: "two  words" -> [{at: 0, text: "two"}, …]. */
export function findWords(text) {
  return Array.from(text.matchAll(WORD), (match) => ({ at: match.index, text: match[0] }));
}

export function splitWords(text) {
  return text.match(WORD) ?? [];
}

/** Two texts one after the other, with a space between them where their scripts have one. */
export function joinTexts(first, second) {
  const [before, after] = [first.trimEnd(), second.trimStart()];
  if (!before || !after) return before || after;
  const isUnspaced = new RegExp(`^[${UNSPACED}]`, "u").test(after) && new RegExp(`[${UNSPACED}${MARKS}]$`, "u").test(before);
  return before + (isUnspaced ? "" : " ") + after;
}

/**
 * before, after: lists of words. Returns pairs [i, j] of words that are the same, in order: a longest common
 * subsequence, or what the two have in common at their ends where they are too long for that.
 */
export function matchWords(before, after) {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let end = 0;
  const most = Math.min(before.length, after.length) - start;
  while (end < most && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const pairs = Array.from({ length: start }, (_, i) => [i, i]);
  const [n, m] = [before.length - start - end, after.length - start - end];
  if (n && m && n * m <= MAX_CELLS) pairs.push(...matchMiddle(before, after, start, n, m));
  for (let i = end; i > 0; i -= 1) pairs.push([before.length - i, after.length - i]);
  return pairs;
}

function matchMiddle(before, after, start, n, m) {
  const width = m + 1;
  const lengths = new Uint32Array((n + 1) * width);
  for (let i = n - 1; i >= 0; i -= 1) {
    for (let j = m - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = before[start + i] === after[start + j]
        ? lengths[(i + 1) * width + j + 1] + 1
        : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
    }
  }
  const pairs = [];
  for (let i = 0, j = 0; i < n && j < m;) {
    if (before[start + i] === after[start + j]) pairs.push([start + i++, start + j++]);
    else if (lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]) i += 1;
    else j += 1;
  }
  return pairs;
}

/**
 * Returns runs {kind: "same" | "removed" | "added", text}; what was removed comes before what took its place. Texts end
 * with the space that follows them.
 */
export function diffTexts(before, after) {
  const [old, now] = [splitWords(before), splitWords(after)];
  const [oldPieces, pieces] = [splitPieces(before), splitPieces(after)];
  const runs = [];
  const add = (kind, texts) => {
    if (!texts.length) return;
    if (runs.at(-1)?.kind === kind) runs.at(-1).text += texts.join("");
    else runs.push({ kind, text: texts.join("") });
  };
  let [i, j] = [0, 0];
  for (const [nextI, nextJ] of [...matchWords(old, now), [old.length, now.length]]) {
    add("removed", oldPieces.slice(i, nextI));
    add("added", pieces.slice(j, nextJ));
    if (nextJ < now.length) add("same", [pieces[nextJ]]);
    [i, j] = [nextI + 1, nextJ + 1];
  }
  return runs;
}

/** Words with the space that follows them; the last one too, so that it never sticks to what is put behind it. */
function splitPieces(text) {
  const words = findWords(text);
  return words.map(({ at }, i) => (i + 1 < words.length ? text.slice(at, words[i + 1].at) : `${text.slice(at).trimEnd()} `));
}
