import assert from "node:assert/strict";
import { test } from "node:test";

import { diffTexts, joinTexts } from "../../../../static/js/review/word-diff.js";
import { timeWords } from "../../../../static/js/review/word-times.js";

const HEARD = [
  { word: "the", start_ms: 0, end_ms: 100, confidence: 0.9 },
  { word: "hairy", start_ms: 100, end_ms: 500, confidence: 0.4 },
  { word: "festival", start_ms: 600, end_ms: 1000, confidence: 0 },
];
const times = (words) => words.map(({ text, startMs, endMs }) => [text, startMs, endMs]);

test("what was removed comes before what took its place", () => {
  assert.deepEqual(diffTexts("the hairy festival", "the harvest festival ends"), [
    { kind: "same", text: "the " },
    { kind: "removed", text: "hairy " },
    { kind: "added", text: "harvest " },
    { kind: "same", text: "festival " },
    { kind: "added", text: "ends " },
  ]);
});

test("texts without a word in common are replaced whole", () => {
  assert.deepEqual(diffTexts("", "all new"), [{ kind: "added", text: "all new " }]);
  assert.deepEqual(diffTexts("all old", ""), [{ kind: "removed", text: "all old " }]);
  assert.deepEqual(diffTexts("", ""), []);
});

test("two long texts that differ everywhere are compared in bounded memory", () => {
  const [before, after] = ["a", "b"].map((letter) => Array.from({ length: 3000 }, (_, i) => `${letter}${i}`).join(" "));
  assert.deepEqual(diffTexts(`x ${before} y`, `x ${after} y`).map(({ kind }) => kind), ["same", "removed", "added", "same"]);
});

test("texts are joined with a space where their scripts have one", () => {
  assert.deepEqual([joinTexts("one ", " two"), joinTexts("今日は。", "明日"), joinTexts("", "one"), joinTexts("今日", "and")], ["one two", "今日は。明日", "one", "今日 and"]);
});

test("words as they were heard keep their times whatever their punctuation", () => {
  const words = timeWords({ text: "The hairy festival.", words: HEARD, startMs: 0, endMs: 1000 });
  assert.deepEqual(times(words), [["The", 0, 100], ["hairy", 100, 500], ["festival.", 600, 1000]]);
  assert.deepEqual(words.map(({ confidence }) => confidence), [0.9, 0.4, null]);
});

test("a changed run shares the time between its neighbours, and is doubted no more", () => {
  const words = timeWords({ text: "the big harvest festival", words: HEARD, startMs: 0, endMs: 1000 });
  assert.deepEqual(times(words), [["the", 0, 100], ["big", 100, 350], ["harvest", 350, 600], ["festival", 600, 1000]]);
  assert.deepEqual(words.map(({ confidence }) => confidence), [0.9, null, null, null]);
});

test("without word times the whole segment is shared", () => {
  assert.deepEqual(times(timeWords({ text: "a b", words: [], startMs: 1000, endMs: 3000 })), [["a", 1000, 2000], ["b", 2000, 3000]]);
  assert.deepEqual(timeWords({ text: " ", words: HEARD, startMs: 0, endMs: 1 }), []);
});

test("in scripts without spaces each character is a word", () => {
  assert.deepEqual(diffTexts("今日は。", "明日は。").map(({ kind, text }) => [kind, text]), [["removed", "今"], ["added", "明"], ["same", "日は。 "]]);
  assert.deepEqual(timeWords({ text: "今日は。", words: [], startMs: 0, endMs: 300 }).map(({ at, text }) => [at, text]), [[0, "今"], [1, "日"], [2, "は。"]]);
});
