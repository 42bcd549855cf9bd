import assert from "node:assert/strict";
import { test } from "node:test";

import { parsePhrases, PhraseSettings, problemOf } from "../../../static/js/record-phrases.js";

/** The elements of templates/record.html that it reads and fills; `choose` picks a set by its address. */
function makeSettings(load, { address = "", typed = "" } = {}) {
  const parts = {};
  const part = (fields) => {
    const listeners = {};
    return { ...fields, listeners, textContent: "", addEventListener: (name, listener) => (listeners[name] = listener), setAttribute() {} };
  };
  parts['[data-setting="phraseSet"]'] = part({ selectedOptions: [{ dataset: { address } }] });
  parts['[data-setting="phrases"]'] = part({ value: typed });
  parts["[data-phrase-set-state]"] = part({});
  parts["[data-phrases-help]"] = part({});
  const settings = new PhraseSettings({ querySelector: (selector) => parts[selector] }, { load });
  const choose = (chosen) => {
    parts['[data-setting="phraseSet"]'].selectedOptions = [{ dataset: { address: chosen } }];
    parts['[data-setting="phraseSet"]'].listeners.change();
  };
  settings.connect();
  return { settings, choose, said: () => parts["[data-phrase-set-state]"].textContent };
}

test("a chosen set and typed phrases are two contexts", async () => {
  const stored = { phrases: ["Kubernetes", "Zürich"], boost: 7 };
  const { settings, said } = makeSettings(async () => stored, { address: "/phrases/1/", typed: " Bern \n\nBern" });
  await settings.ready();
  assert.deepEqual(settings.contexts, [stored, { phrases: ["Bern"] }]);
  assert.equal(said(), "2 phrases");
});

test("nothing chosen and nothing typed is no context", async () => {
  const { settings } = makeSettings(() => assert.fail("nothing to load"));
  await settings.ready();
  assert.deepEqual(settings.contexts, []);
});

test("a set that could not be loaded is said to be left out, and asked for again at the start", async () => {
  let tries = 0;
  const load = async () => {
    tries += 1;
    if (tries === 1) throw new Error("offline");
    return { phrases: ["late"], boost: 20 };
  };
  const { settings, said } = makeSettings(load, { address: "/phrases/1/" });
  await settings.loading;
  assert.match(said(), /left out/);
  assert.deepEqual(settings.contexts, []);
  await settings.ready();
  assert.deepEqual(settings.contexts, [{ phrases: ["late"], boost: 20 }]);
});

test("an answer that comes after another choice is not taken", async () => {
  const waiting = new Map();
  const load = (address) => new Promise((resolve) => waiting.set(address, resolve));
  const { settings, choose } = makeSettings(load, { address: "/phrases/1/" });
  const first = settings.loading;
  choose("/phrases/2/");
  waiting.get("/phrases/2/")({ phrases: ["second"], boost: 20 });
  await settings.ready();
  waiting.get("/phrases/1/")({ phrases: ["first"], boost: 20 });
  await first;
  assert.deepEqual(settings.contexts, [{ phrases: ["second"], boost: 20 }]);
});

test("phrases are lines, once each", () => {
  assert.deepEqual(parsePhrases("a\r\n  b b \n\na"), ["a", "b b"]);
});

test("what a session would be refused for is told with its line", () => {
  assert.equal(problemOf("ok\n" + "x".repeat(200)), "");
  assert.equal(problemOf("ok\n" + "😀".repeat(201)), "Line 2 has 201 characters; a phrase may have 200.");
  const many = Array.from({ length: 501 }, (_, number) => `p${number}`).join("\n");
  assert.equal(problemOf(many), "These are 501 phrases; there may be 500.");
});
