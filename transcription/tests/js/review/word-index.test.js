import assert from "node:assert/strict";
import { test } from "node:test";

import { findHits, replaceHit } from "../../../../static/js/review/find.js";
import { Stepper, WordIndex } from "../../../../static/js/review/word-index.js";
import { MAX_STEPS, UndoStack } from "../../../../static/js/review/undo.js";

const word = (startMs, confidence = null) => ({ startMs, endMs: startMs + 100, confidence });
const words = new WordIndex([
  { key: "a", startMs: 0, endMs: 900, words: [word(0, 0.5), word(300, 0.95)] },
  { key: "b", startMs: 1000, endMs: 2000, words: [] },
  { key: "c", startMs: 2000, endMs: 3000, words: [word(2000), word(2500, 0.7)] },
]);
const at = (place) => place && [place.key, place.word];

test("the word at a time is the last that began", () => {
  assert.deepEqual([-1, 0, 299, 300, 1500, 9999].map((ms) => at(words.wordAt(ms))), [null, ["a", 0], ["a", 0], ["a", 1], ["a", 1], ["c", 1]]);
  assert.equal(words.segmentAt(1500).key, "b");
});

test("a step by words stops at the ends", () => {
  assert.deepEqual([words.step(300, 1), words.step(300, -1), words.step(0, -1), words.step(9999, 1)].map(at), [["c", 0], ["a", 0], ["a", 0], ["c", 1]]);
});

test("doubtful words are those below the threshold that a recogniser judged", () => {
  assert.deepEqual(words.doubtful(0.8).map(at), [["a", 0], ["c", 1]]);
  assert.deepEqual(words.doubtful(0.6).map(at), [["a", 0]]);
});

test("stepping begins at the time that is heard and goes round", () => {
  const places = words.doubtful(0.8);
  const stepper = new Stepper(places);
  assert.deepEqual(at(stepper.step(true, 400)), ["c", 1]);
  assert.deepEqual(at(stepper.step(true)), ["a", 0]);
  assert.deepEqual(at(stepper.step(false)), ["c", 1]);
  assert.deepEqual(at(new Stepper(places).step(false, 400)), ["a", 0]);
  assert.deepEqual(at(new Stepper(places).step(false, 0)), ["a", 0]);
  assert.deepEqual(at(new Stepper(places).step(true, 0)), ["a", 0]);
  assert.deepEqual(at(new Stepper(places).step(true, 9999)), ["a", 0]);
  assert.equal(new Stepper([]).step(true), null);
});

test("what is looked for is text, not a pattern", () => {
  const segments = [{ key: "a", text: "Cost (c.) c. C. " }, { key: "b", text: "cc" }];
  assert.deepEqual(findHits(segments, "c."), [{ key: "a", start: 6, end: 8 }, { key: "a", start: 10, end: 12 }, { key: "a", start: 13, end: 15 }]);
  assert.equal(findHits(segments, "c.", { matchCase: true }).length, 2);
  assert.deepEqual(findHits(segments, ""), []);
  assert.equal(findHits([{ key: "a", text: "a-b/c [d] \\ $ ^" }], "-b/c [d] \\ $ ^").length, 1);
});

test("one hit is replaced", () => {
  assert.equal(replaceHit("the hairy festival", { start: 4, end: 9 }, "harvest"), "the harvest festival");
});

test("steps are undone and redone one at a time, and a new one ends what could be redone", async () => {
  const log = [];
  const stack = new UndoStack();
  const push = (name) => stack.push({ name, undo: async () => log.push(`-${name}`), redo: async () => log.push(`+${name}`) });
  push("a");
  push("b");
  const [first, second] = await Promise.all([stack.undo(), stack.undo()]);
  assert.deepEqual([first.name, second], ["b", null]);
  await stack.redo();
  await stack.undo();
  push("c");
  assert.deepEqual([log, stack.canRedo], [["-b", "+b", "-b"], false]);
});

test("a step that could not be undone is let go, and the stack is bounded", async () => {
  const stack = new UndoStack();
  stack.push({ name: "a", undo: async () => false, redo: async () => {} });
  assert.deepEqual([await stack.undo(), stack.canUndo, stack.canRedo], [null, false, false]);
  for (let i = 0; i <= MAX_STEPS; i += 1) stack.push({});
  assert.equal(stack.done.length, MAX_STEPS);
});
