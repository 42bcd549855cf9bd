import assert from "node:assert/strict";
import { test } from "node:test";

import { NoticeBox } from "../../../static/js/notice-box.js";

const ACTIONS = ["retry", "keep"];

/** The elements of templates/record.html that the box fills. */
function makeBox() {
  const parts = new Map();
  const part = (name) => {
    if (!parts.has(name)) parts.set(name, { dataset: {}, addEventListener() {}, hidden: false, textContent: "" });
    return parts.get(name);
  };
  const actions = ACTIONS.map((action) => ({ dataset: { action }, hidden: true }));
  const element = { dataset: {}, hidden: true, querySelector: part, querySelectorAll: () => actions };
  const alert = { textContent: "" };
  const box = new NoticeBox(element, alert);
  const shown = () => (element.hidden ? null : part("[data-notice-text]").textContent);
  return { box, shown, alert, offered: () => actions.filter(({ hidden }) => !hidden).map(({ dataset }) => dataset.action) };
}

const saying = (text, fields = {}) => ({ tone: "warn", text, help: "", actions: [], requestId: "", ...fields });

test("the weightier of two notices is shown, and the other when it is taken back", () => {
  const { box, shown, alert } = makeBox();
  box.show(saying("Connection lost."), { about: "connection" });
  box.show(saying("Too loud."), { about: "level" });
  assert.deepEqual([shown(), alert.textContent], ["Connection lost.", "Connection lost."]);
  box.hide("connection");
  assert.equal(shown(), "Too loud.");
  box.hide("level");
  assert.equal(shown(), null);
});

test("taking back what is not shown changes nothing", () => {
  const { box, shown, alert } = makeBox();
  box.show(saying("Connection lost."), { about: "connection" });
  box.hide("level");
  assert.deepEqual([shown(), alert.textContent], ["Connection lost.", "Connection lost."]);
});

test("the end replaces everything", () => {
  const { box, shown, offered } = makeBox();
  box.show(saying("Connection lost.", { actions: ["keep"] }), { about: "connection" });
  assert.deepEqual(offered(), ["keep"]);
  box.show(saying("Ended.", { actions: ["retry"] }));
  assert.deepEqual([shown(), offered()], ["Ended.", ["retry"]]);
  box.hide();
  assert.equal(shown(), null);
});
