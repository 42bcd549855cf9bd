import assert from "node:assert/strict";
import { test } from "node:test";

import { chordOf, isUsable, KeyBindings } from "../../../../static/js/review/key-bindings.js";
import { barHeights } from "../../../../static/js/review/waveform.js";

const chord = (key, modifiers = {}) => chordOf({ key, ...modifiers });
const reading = { isEditing: false, isTyping: false };
const editing = { isEditing: true, isTyping: true };

test("chords are written as people write them", () => {
  assert.deepEqual(
    [chord(" "), chord(" ", { ctrlKey: true }), chord("Z", { ctrlKey: true, shiftKey: true }), chord("?", { shiftKey: true }), chord("z", { metaKey: true }), chord("Enter", { shiftKey: true }), chord("Shift", { shiftKey: true })],
    ["Space", "Ctrl+Space", "Ctrl+Shift+z", "?", "Ctrl+z", "Shift+Enter", ""],
  );
});

test("letters are commands while reading, and text while editing", () => {
  const bindings = new KeyBindings();
  assert.equal(bindings.actionFor("n", reading), "nextDoubt");
  assert.equal(bindings.actionFor("n", editing), null);
  assert.equal(bindings.actionFor("n", { isEditing: false, isTyping: true }), null);
  assert.equal(bindings.actionFor("n", { ...reading, areSingleKeysOn: false }), null);
  assert.equal(bindings.actionFor("ArrowDown", { ...reading, areSingleKeysOn: false }), "nextSegment");
});

test("undo is the page's while reading, and the field's while editing", () => {
  const bindings = new KeyBindings();
  assert.equal(bindings.actionFor("Ctrl+z", reading), "undo");
  assert.equal(bindings.actionFor("Ctrl+z", editing), null);
  assert.deepEqual([bindings.actionFor("Ctrl+f", editing), bindings.actionFor("Ctrl+f", { isTyping: true })], ["find", "find"]);
});

test("the keys while editing can be bound anew, but not to text", () => {
  const bindings = new KeyBindings();
  assert.equal(bindings.bind("play", "F8"), true);
  assert.deepEqual([bindings.actionFor("F8", editing), bindings.actionFor("Ctrl+Space", editing)], ["play", null]);
  assert.equal(bindings.bind("back", "F8"), true);
  assert.equal(bindings.chordFor("play"), "");
  assert.deepEqual(["x", "Space", "Enter", "Ctrl+s", "ArrowLeft", ""].map(isUsable), [false, false, false, false, false, false]);
  bindings.reset();
  assert.equal(bindings.chordFor("play"), "Ctrl+Space");
});

test("a bar is as high as the loudest peak under it", () => {
  assert.deepEqual([...barHeights([0, 0.2, 1, 0], 2)].map((height) => Number(height.toFixed(2))), [0.2, 1]);
  assert.deepEqual([...barHeights([1], 3)], [1, 1, 1]);
  assert.deepEqual([...barHeights([], 2)], [0, 0]);
});
