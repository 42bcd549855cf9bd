import assert from "node:assert/strict";
import { test } from "node:test";

import { countWords, formatDuration, formatLeft, formatLength, formatMoment, formatSeconds, formatWait, shortenId } from "../../../static/js/format.js";
import { LevelJudge } from "../../../static/js/level.js";
import { connectionWords, formatMeasured, SoundWatch, stateOf, stateWords } from "../../../static/js/live-words.js";
import * as words from "../../../static/js/record-words.js";
import { Shortcuts } from "../../../static/js/shortcuts.js";

test("long ids are cut with an ellipsis, as the admin cuts them", () => {
  assert.equal(shortenId("0123456789abcdef0123456789abcdef"), "0123456789abcdef0…");
  assert.equal(shortenId("eighteen-long-name"), "eighteen-long-name");
});

test("durations are minutes and seconds, with hours from an hour on", () => {
  assert.deepEqual([0, 252_000, 3_599_999, 3_600_000, -5].map(formatDuration), ["00:00", "04:12", "59:59", "1:00:00", "00:00"]);
});

test("waits are rounded up and said to be about", () => {
  assert.deepEqual([200, 20_000, 61_000].map(formatWait), ["about 1 s", "about 20 s", "about 2 min"]);
});

test("what is left is said in whole minutes, then seconds", () => {
  assert.deepEqual([120_000, 60_000, 30_000, 1000].map(formatLeft), ["2 minutes left", "1 minute left", "30 seconds left", "1 second left"]);
});

test("short times have a decimal", () => {
  assert.deepEqual([400, 9_940, 14_200].map(formatSeconds), ["0.4 s", "9.9 s", "14 s"]);
  assert.deepEqual([null, 209, 1_250].map(formatMeasured), ["–", "209 ms", "1.3 s"]);
});

test("words are what spaces of any kind part", () => {
  assert.equal(countWords("  one\ntwo\u00a0three  "), 3);
  assert.equal(countWords(""), 0);
});

for (const [name, text] of [
  ["NotAllowedError", "The microphone is blocked for this site."],
  ["NotFoundError", "No microphone found. Plug one in; this page will notice."],
  ["NotReadableError", "Another program is using the microphone."],
]) {
  test(`${name} is told in plain words`, () => {
    assert.equal(words.microphoneError(new DOMException("", name)).text, text);
  });
}

test("a lost connection says until when everything is saved", () => {
  const notice = words.outcomeNotice({ outcome: "lost", safeMs: 252_000 });
  assert.equal(notice.text, "Connection lost. What was said until 04:12 is saved.");
  assert.deepEqual(notice.actions, ["new"]);
});

test("a recording without a connection is told in plain words", () => {
  const say = (detail) => words.connectionNotice({ state: "recording", ...detail });
  assert.equal(say({ phase: "lost" }).text, "Connection lost. Still recording on this device (up to 10 min)…");
  assert.equal(say({ phase: "lost", state: "finishing" }).text, "Connection lost. What you said is kept on this device…");
  assert.equal(say({ phase: "sending", lateMs: 4000 }), null);
  assert.equal(say({ phase: "sending", lateMs: 200_000 }).text, "Back. Sending the 3 min 20 s that were kept on this device…");
  assert.equal(say({ phase: "back", lateMs: 4200 }).text, "Back. 4 s were sent late.");
  assert.equal(say({ phase: "back", lateMs: 4200, state: "paused" }).help, "The recording is paused: press Continue to go on.");
});

test("a recogniser that is down leaves the choice to go on recording", () => {
  const notice = words.connectionNotice({ phase: "lost", state: "recording", isRecogniserDown: true });
  assert.equal(notice.text, "Captions are unavailable. We can keep recording and transcribe it later.");
  assert.deepEqual(notice.actions, ["keep", "stop"]);
});

test("a full buffer says until when everything is safe", () => {
  const recording = { capturedMs: 252_000, isConnected: false };
  const text = "Paused: no connection for 10 min. What you said until 04:12 is safe.";
  assert.equal(words.bufferFullNotice({ isFull: true }, recording).text, text);
  assert.equal(words.bufferFullNotice({ isFull: false }, recording), null);
});

test("an update of the server is told only to recordings that it ends", () => {
  const draining = { in_ms: 5000, reason: "draining" };
  assert.equal(words.expiringNotice({ ...draining, resume_elsewhere: true }), null);
  assert.match(words.expiringNotice({ ...draining, resume_elsewhere: false }).text, /finished cleanly/);
});

test("a slow recogniser is told in whole seconds", () => {
  assert.equal(words.recogniserNotice({ state: "lagging", lag_ms: 6240 }).text, "Captions are running 6 s behind.");
});

test("an interrupted recording is told by its time and length", () => {
  const at = new Date(2026, 0, 5, 10, 42);
  assert.equal(formatMoment(at, new Date(2026, 0, 5, 18)), "10:42");
  assert.equal(formatMoment(at, new Date(2026, 0, 6)), "Jan 5, 10:42");
  assert.deepEqual([400, 20_000, 200_000, 3_780_000].map(formatLength), ["1 s", "20 s", "3 min 20 s", "1 h 3 min"]);
  assert.match(words.recoveredText(Date.now(), 200_000), /^A recording from \d\d:\d\d was interrupted \(3 min 20 s\)\.$/);
});

test("what could not be recovered is still kept, unless its time is over", () => {
  const notice = words.notRecoveredNotice({ outcome: "unreachable", safeMs: 0 });
  assert.equal(notice.text, "The server cannot be reached.");
  assert.equal(notice.help, "What is kept in this browser stays there. Try again later.");
  const late = words.notRecoveredNotice({ outcome: "too_late", safeMs: 130_000 });
  assert.equal(late.help, "What was said until 02:10 is saved.");
});

test("a full site says when to try again, and that nothing was saved", () => {
  const error = { code: 4503, reason: "at_capacity", retry_after_ms: 100_000, request_id: "r1" };
  const notice = words.outcomeNotice({ outcome: "failed", safeMs: 0, error });
  assert.equal(notice.text, "All places are taken.");
  assert.equal(notice.help, "Nothing was saved. Try again in about 2 min.");
  assert.deepEqual([notice.actions, notice.requestId], [["retry"], "r1"]);
});

test("every outcome has words, or is the saved card's", () => {
  const outcomes = ["saved", "limit", "stopped_by_operator", "lost", "too_late", "unreachable", "failed", "cancelled", "unfinished"];
  for (const outcome of outcomes) {
    const notice = words.outcomeNotice({ outcome, safeMs: 0, error: { code: 4500, message: "Our fault." } });
    assert.equal(notice === null, outcome === "saved", outcome);
  }
});

test("every code that ends a session has a sentence", () => {
  for (const code of [4400, 4401, 4403, 4404, 4408, 4409, 4413, 4415, 4422, 4429, 4500, 4502, 4503, 4504, 4507]) {
    const notice = words.outcomeNotice({ outcome: "failed", safeMs: 0, error: { code, message: "As the server said." } });
    assert.ok(notice.text.length > 10, String(code));
  }
});

test("silence is told after five seconds and forgotten at the first sound", () => {
  const judge = new LevelJudge();
  const said = Array.from({ length: 50 }, () => judge.feed(0.001, 100));
  assert.equal(said.indexOf("silent"), 49);
  assert.equal(judge.feed(0.2, 100), "normal");
});

test("soft speech is too quiet, not silent", () => {
  const judge = new LevelJudge();
  for (let i = 0; i < 49; i += 1) judge.feed(0.01, 100);
  assert.equal(judge.feed(0.01, 100), "quiet");
});

test("one loud bang is no clipping, three in two seconds are", () => {
  const judge = new LevelJudge();
  assert.equal(judge.feed(1, 100), "normal");
  judge.feed(1, 100);
  assert.equal(judge.feed(1, 100), "clipping");
  for (let i = 0; i < 20; i += 1) judge.feed(0.2, 100);
  assert.equal(judge.feed(0.2, 100), "normal");
});

test("a live session whose captions run behind is slow", () => {
  assert.equal(stateOf({ state: "live", backlog_ms: 700 }), "live");
  assert.equal(stateOf({ state: "live", backlog_ms: 2001 }), "slow");
  assert.equal(stateOf({ state: "finishing", backlog_ms: 9000 }), "finishing");
  assert.deepEqual(stateWords("unheard_of"), { tone: "", text: "unheard_of" });
});

test("no sound is said after ten silent seconds", () => {
  const watch = new SoundWatch();
  const start = Date.now();
  assert.equal(watch.isSilent(0.1, start), false);
  assert.equal(watch.isSilent(0, start + 9_999), false);
  assert.equal(watch.isSilent(0, start + 10_000), true);
  assert.equal(watch.isSilent(0.1, start + 10_100), false);
});

test("the connection pill says how old the data is", () => {
  assert.equal(connectionWords({ status: "connected", ageMs: 400 }).text, "Connected · updated 0.4 s ago");
  assert.equal(connectionWords({ status: "reconnecting", ageMs: 12_000 }).text, "Reconnecting… showing data from 12 s ago");
  assert.equal(connectionWords({ status: "offline", ageMs: 60_000 }).tone, "danger");
});

function press(shortcuts, key, { target = { closest: () => null }, timeStamp = 0, ...rest } = {}) {
  shortcuts.onKey({ key, target, timeStamp, preventDefault() {}, ...rest });
}

test("shortcuts are letters alone or in a row, never with a modifier or in a field", () => {
  const pressed = [];
  const shortcuts = new Shortcuts({ j: () => pressed.push("j"), "g l": () => pressed.push("g l"), l: () => pressed.push("l") });
  press(shortcuts, "j");
  press(shortcuts, "j", { ctrlKey: true });
  press(shortcuts, "j", { target: { closest: () => ({}) } });
  press(shortcuts, "g", { timeStamp: 1000 });
  press(shortcuts, "l", { timeStamp: 1500 });
  press(shortcuts, "g", { timeStamp: 3000 });
  press(shortcuts, "l", { timeStamp: 9000 });
  assert.deepEqual(pressed, ["j", "g l", "l"]);
});
