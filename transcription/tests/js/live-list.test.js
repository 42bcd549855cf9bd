import assert from "node:assert/strict";
import { test } from "node:test";

import { linePath } from "../../../static/js/chart.js";
import { filterWords, isShown, needsAllRows, orderOf, readFilter, sourceOfRow, sourcesOf, writeFilter } from "../../../static/js/live-filter.js";
import { JUDGEMENTS } from "../../../static/js/live-numbers.js";

const row = (changes = {}) => ({
  session_id: "abc", title: "Board meeting", owner: "anna", owner_id: 7, language: "en-US", source: "user", key: "", dialect: "native",
  final: "Good morning", interim: "every", started_at: "2026-01-02T10:00:00Z", level: 0.1, backlog_ms: 0, latency_ms: 300, ...changes,
});
const limits = { warnShare: 0.8, dangerShare: 0.95, slowLatencyMs: 1000 };

test("a filter and the page's query say the same", () => {
  const query = "q=good+morning&state=slow&language=de-DE&source=key%3Aphone&sort=loudest&mine=1";
  assert.equal(writeFilter(readFilter(`?${query}`)), query);
  assert.equal(writeFilter(readFilter("?sort=sideways&mine=0&x=1")), "");
});

test("every part of a filter has to be true of a row", () => {
  const shows = (query, changes, userId = 7) => isShown(readFilter(query), row(changes), "live", userId);
  assert.ok(shows(""));
  assert.ok(shows("q=MORNING+every+anna"));
  assert.ok(!shows("q=morning+evening"));
  assert.ok(!shows("state=slow"));
  assert.ok(!shows("language=de-DE"));
  assert.ok(shows("mine=1"));
  assert.ok(!shows("mine=1", {}, 8));
  assert.ok(!shows("mine=1", { owner_id: null }, null));
});

test("a source is the browser, a key by its name, or a dialect", () => {
  const withKey = row({ source: "key", key: "phone", dialect: "realtime" });
  assert.deepEqual(sourcesOf(row()), ["web", "dialect:native"]);
  assert.deepEqual(sourcesOf(withKey), ["key:phone", "dialect:realtime"]);
  assert.equal(sourceOfRow(row()), "Browser");
  assert.equal(sourceOfRow(withKey), "Key phone · Realtime API");
  assert.equal(sourceOfRow(row({ dialect: "test" })), "Test session");
});

test("rows are ordered as asked, and newest first where they are equal", () => {
  const rows = [
    row({ session_id: "old", started_at: "2026-01-02T09:00:00Z", level: 0.5 }),
    row({ session_id: "new", started_at: "2026-01-02T11:00:00Z", backlog_ms: 9000 }),
    row({ session_id: "mid", level: null, backlog_ms: null, latency_ms: null }),
  ];
  const ids = (sort) => [...rows].sort(orderOf(sort)).map(({ session_id: id }) => id);
  assert.deepEqual(ids("newest"), ["new", "mid", "old"]);
  assert.deepEqual(ids("longest"), ["old", "mid", "new"]);
  assert.deepEqual(ids("slowest"), ["new", "old", "mid"]);
  assert.deepEqual(ids("loudest"), ["old", "new", "mid"]);
  assert.deepEqual([...rows].map((each) => ({ ...each, level: 0 })).sort(orderOf("loudest")).map(({ session_id: id }) => id), ["new", "mid", "old"]);
});

test("what changes with every frame needs all rows", () => {
  assert.ok(!needsAllRows(readFilter("state=paused&sort=longest")));
  for (const query of ["q=x", "state=slow", "sort=slowest", "sort=loudest"]) assert.ok(needsAllRows(readFilter(query)), query);
});

test("what was asked for is said in words", () => {
  assert.equal(filterWords(readFilter("state=slow&language=de-DE")), "“Slow” and “de-DE”");
  assert.equal(filterWords(readFilter("mine=1&source=web")), "“Browser” and “Only mine”");
});

test("cards have a tone and a word at their limits", () => {
  const live = (count) => JUDGEMENTS.live({ live: count, capacity: 100 }, limits).tone;
  assert.deepEqual([0, 79, 80, 94, 95, 100].map(live), ["", "", "warn", "warn", "danger", "danger"]);
  assert.equal(JUDGEMENTS.live({ live: 100, capacity: 100 }, limits).note, "full");
  const lag = (ms) => JUDGEMENTS.final_lag({ final_lag_p95_ms: ms }, limits).tone;
  assert.deepEqual([null, 1000, 1001].map(lag), ["", "", "warn"]);
  assert.equal(JUDGEMENTS.first_interim({ first_interim_p95_ms: 300 }, limits, true).tone, "danger");
  assert.equal(JUDGEMENTS.errors({ failed_last_hour: 1, interrupted_last_hour: 2 }, limits, false).tone, "warn");
  assert.equal(JUDGEMENTS.audio_lost({ audio_lost_today_ms: 0 }).tone, "");
});

test("a line has a gap where nothing was measured, and a dash for a value alone", () => {
  const path = linePath([1, 1, null, 1, null], 1);
  assert.equal(path.split("M").length - 1, 2);
  assert.ok(path.endsWith("h2"));
  assert.equal(linePath([null, null], 1), "");
});
