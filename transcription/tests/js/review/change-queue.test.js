import assert from "node:assert/strict";
import { test } from "node:test";

import { ChangeQueue, Conflict, MAX_WAITING, Unreachable } from "../../../../static/js/review/change-queue.js";

const settle = () => new Promise((resolve) => setImmediate(resolve));
const text = (id, value, version = 1) => ({ id, kind: "text", version, text: value });

/** A server that keeps texts with versions, and can be cut off; a store; timers that wait to be fired. */
function makeLine(kept = []) {
  const line = { isUp: true, segments: new Map(), sent: [], kept: structuredClone(kept), timers: [], log: [] };
  const send = async (change) => {
    if (!line.isUp) throw new Unreachable("down");
    line.sent.push({ ...change });
    const now = line.segments.get(change.id) ?? { version: 1, text: "" };
    if (change.text === "refuse") throw new Error("refused");
    if (now.version !== change.version) throw new Conflict("conflict", now);
    const next = { version: now.version + 1, text: change.text };
    line.segments.set(change.id, next);
    return next;
  };
  const store = { load: () => line.kept, save: (changes) => { line.kept = structuredClone(changes); } };
  line.queue = new ChangeQueue({ send, store, setTimer: (fire) => line.timers.push(fire), clearTimer() {}, random: () => 1 });
  for (const name of ["state", "conflict", "refused"]) {
    line.queue.addEventListener(name, ({ detail }) => line.log.push(name === "state" ? `${detail.state} ${detail.waiting}` : name));
  }
  return line;
}

test("changes are sent in order, each based on what the one before left", async () => {
  const line = makeLine();
  line.queue.add(text("a", "one"));
  line.queue.add(text("a", "two"));
  line.queue.add(text("b", "three"));
  assert.equal(await line.queue.idle(), true);
  assert.deepEqual(line.sent.map(({ id, text, version }) => [id, text, version]), [["a", "one", 1], ["a", "two", 2], ["b", "three", 1]]);
  assert.deepEqual([line.log.at(-1), line.kept], ["saved 0", []]);
});

test("without a connection changes wait in the browser, the last of a segment alone, and are sent later", async () => {
  const line = makeLine();
  line.isUp = false;
  line.queue.add(text("a", "one"));
  await settle();
  for (const value of ["two", "three"]) line.queue.add(text("a", value, 7));
  line.queue.add(text("b", "four"));
  assert.deepEqual([line.log.at(-1), line.kept.length, await line.queue.idle()], ["offline 2", 2, false]);
  line.isUp = true;
  line.queue.retry();
  await settle();
  assert.deepEqual(line.sent.map(({ text, version }) => [text, version]), [["three", 1], ["four", 1]]);
  assert.equal(line.log.at(-1), "saved 0");
});

test("what an earlier visit left is sent", async () => {
  const line = makeLine([text("a", "kept")]);
  line.queue.start();
  assert.equal(await line.queue.idle(), true);
  assert.equal(line.segments.get("a").text, "kept");
});

test("it waits longer each time, and goes on by itself", async () => {
  const line = makeLine();
  line.isUp = false;
  line.queue.add(text("a", "one"));
  await settle();
  line.timers.shift()();
  await settle();
  line.isUp = true;
  line.timers.shift()();
  await settle();
  assert.deepEqual([line.segments.get("a").text, line.timers.length], ["one", 0]);
});

test("a conflict stops the line until somebody chose", async () => {
  for (const [keep, left] of [[true, "mine"], [false, "theirs"]]) {
    const line = makeLine();
    line.segments.set("a", { version: 5, text: "theirs" });
    line.queue.add(text("a", "mine"));
    line.queue.add(text("b", "other"));
    await settle();
    assert.deepEqual([line.log.at(-1), line.queue.state, line.segments.has("b")], ["conflict", "conflict", false]);
    line.queue.resolve(keep);
    assert.equal(await line.queue.idle(), true);
    assert.deepEqual([line.segments.get("a").text, line.segments.get("b").text], [left, "other"]);
  }
});

test("what is refused is told and given up", async () => {
  const line = makeLine();
  line.queue.add(text("a", "refuse"));
  line.queue.add(text("b", "fine"));
  assert.equal(await line.queue.idle(), true);
  assert.ok(line.log.includes("refused"));
  assert.equal(line.segments.get("b").text, "fine");
});

test("it is bounded", async () => {
  const line = makeLine();
  line.isUp = false;
  for (let i = 0; i < MAX_WAITING; i += 1) assert.equal(line.queue.add(text(`s${i}`, "x")), true);
  assert.equal(line.queue.add(text("one more", "x")), false);
});
