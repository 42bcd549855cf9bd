import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { fillIn, toJavaScript, toPython, toShell } from "../../../static/js/api-code.js";
import { configOf } from "../../../static/js/api-form.js";
import { coloured } from "../../../static/js/code-colours.js";

const EXAMPLES = new URL("../../../examples/", import.meta.url);
const read = (name) => readFileSync(new URL(name, EXAMPLES), "utf8");
const KINDS = { "shortest_client.py": "python", "shortest_page.html": "browser", "node_client.mjs": "javascript", "curl.sh": "shell", "websocat.sh": "shell", "openai_realtime.py": "library", "nvidia_realtime.py": "library", "deepgram_live.py": "library" };
const FORM = { language: "de-DE", sampleRateHz: 8000, encoding: "MULAW", phrases: " Straße\n\nit's \n", interim: false, punctuation: true, wordTimes: true, profanityFilter: true };
const CONFIG = configOf(FORM);

test("the form makes the options, without those that are as the service has them anyway", () => {
  assert.deepEqual(CONFIG, {
    language: "de-DE",
    sample_rate_hertz: 8000,
    encoding: "MULAW",
    enable_interim_results: false,
    profanity_filter: true,
    speech_contexts: [{ phrases: ["Straße", "it's"] }],
  });
  const usual = { ...FORM, language: "en-US", sampleRateHz: 16_000, encoding: "LINEAR_PCM", phrases: "", interim: true, profanityFilter: false };
  assert.deepEqual(configOf(usual), { language: "en-US", sample_rate_hertz: 16_000 });
  assert.equal(configOf({ ...usual, keepAudio: true }).keep_audio, true);
  assert.equal(configOf({ ...usual, keepAudio: false, keepsAudioAnyway: true }).keep_audio, false);
  assert.ok(!("keep_audio" in configOf({ ...usual, keepAudio: true, keepsAudioAnyway: true })));
});

for (const [name, kind] of Object.entries(KINDS)) {
  test(`${name} has every place that is filled in`, () => {
    const text = fillIn({ kind, text: read(name) }, { site: "https://speech.example.org", apiPath: "/speech/v1", config: CONFIG });
    assert.ok(text.includes("de-DE") && !text.includes("en-US"), "the language");
    if (kind !== "library") assert.ok(text.includes("Straße"), "the options");
    assert.ok(!text.includes("127.0.0.1") && text.includes("speech.example.org"), "the address");
    assert.ok(!text.includes("/api/v1"), "the prefix of the API");
    if (kind !== "library") assert.ok(!text.includes("3200") && !text.includes("4264"), "the size of 100 ms");
  });

  test(`${name} filled in with what it has anyway is the file itself`, () => {
    const text = read(name);
    const config = { language: "en-US", sample_rate_hertz: 16_000 };
    assert.equal(fillIn({ kind, text }, { site: "http://127.0.0.1:8000", config }), text);
  });
}

test("the page that captures by itself leaves rate and encoding to the microphone", () => {
  const text = fillIn({ kind: "browser", text: read("shortest_page.html") }, { site: "http://a", config: { language: "en-US", sample_rate_hertz: 8000, encoding: "MULAW" } });
  assert.ok(text.includes('  const config = { language: "en-US" };\n'));
});

test("options are written as each language writes them", () => {
  const value = { is: true, not: false, none: null, list: ["it's", 1.5] };
  assert.equal(toPython(value), '{"is": True, "not": False, "none": None, "list": ["it\'s", 1.5]}');
  assert.equal(toJavaScript(value), '{ is: true, not: false, none: null, list: ["it\'s", 1.5] }');
  assert.equal(toShell(value), "'{\"is\": true, \"not\": false, \"none\": null, \"list\": [\"it'\\''s\", 1.5]}'");
});

test("options too long for a line have one each", () => {
  const value = { language: "en-US", speech_contexts: [{ phrases: ["a".repeat(50), "b".repeat(60)] }] };
  const text = toPython(value);
  assert.ok(text.startsWith('{\n    "language": "en-US",\n    "speech_contexts": [\n        {\n            "phrases": [\n'));
  assert.ok(text.endsWith("\n    ],\n}"));
});

test("no program is changed by its colours", () => {
  for (const name of readdirSync(EXAMPLES).filter((file) => file in KINDS)) {
    const text = read(name);
    assert.equal(coloured(text, KINDS[name]).map((part) => part.text).join(""), text);
  }
});

test("addresses are no comments, and words in texts no keywords", () => {
  const kinds = (text, kind) => coloured(text, kind).filter((part) => part.kind).map((part) => `${part.kind}:${part.text}`);
  assert.deepEqual(kinds('const a = "http://x in"; // why', "javascript"), ["word:const", 'text:"http://x in"', "comment:// why"]);
  assert.deepEqual(kinds('b = "if" # no', "python"), ['text:"if"', "comment:# no"]);
  assert.deepEqual(kinds("${2:-ws://x} ${a#b} # why", "shell"), ["comment:# why"]);
});
