import assert from "node:assert/strict";
import { test } from "node:test";

import { lineOf, matches, MAX_ENTRIES, MessageLog, prettyOf } from "../../../static/js/message-log.js";
import { tapWebSocket } from "../../../static/js/tapped-socket.js";

const ALL = { kind: "all", text: "" };
const received = (message) => ({ direction: "received", data: JSON.stringify(message) });
const audio = (size) => ({ direction: "sent", data: new ArrayBuffer(size) });

test("messages are told by their type or event, their size in bytes and the time since the first", () => {
  const log = new MessageLog();
  log.add({ direction: "note", name: "open", text: "ws://here/" }, 5000);
  const { entry } = log.add(received({ event: "transcript", text: "café" }), 5250);
  assert.deepEqual([entry.name, entry.bytes, entry.atMs], ["transcript", 37, 250]);
  assert.equal(log.add({ direction: "sent", data: '{"type":"keepalive"}' }, 5300).entry.name, "keepalive");
  assert.equal(log.add({ direction: "received", data: "no JSON" }, 5300).entry.name, "?");
});

test("audio messages that follow each other are one entry", () => {
  const log = new MessageLog();
  log.add(audio(3200), 0);
  const { entry, isNew } = log.add(new Object(audio(1600)), 100);
  assert.equal(isNew, false);
  assert.deepEqual([entry.count, entry.bytes, lineOf(entry)], [2, 4800, "(2 × binary)"]);
  log.add(received({ event: "audio_ack" }), 150);
  assert.equal(log.add(audio(3200), 200).isNew, true);
});

test("the oldest is let go at the bound", () => {
  const log = new MessageLog();
  for (let i = 0; i < MAX_ENTRIES; i += 1) assert.equal(log.add(received({ event: "e", i }), i).dropped, null);
  assert.equal(log.add(received({ event: "e" }), 1).dropped.id, 0);
  assert.equal(log.entries.length, MAX_ENTRIES);
});

test("messages are found by direction, text, and without the noise", () => {
  const log = new MessageLog();
  log.add(audio(10), 0);
  log.add(received({ event: "audio_ack", safe: 1 }), 1);
  log.add(received({ event: "transcript", text: "Natural language" }), 2);
  const names = (filter) => log.entries.filter((entry) => matches(entry, { ...ALL, ...filter })).map(({ name }) => name);
  assert.deepEqual(names({ kind: "quiet" }), ["transcript"]);
  assert.deepEqual(names({ kind: "sent" }), ["audio"]);
  assert.deepEqual(names({ text: " LANGUAGE " }), ["transcript"]);
  assert.deepEqual(names({ kind: "received", text: "ack" }), ["audio_ack"]);
});

test("the log is copied a line a message, and a message with its fields below each other", () => {
  const log = new MessageLog();
  log.add({ direction: "note", name: "open", text: "ws://here/" }, 0);
  log.add(audio(10), 21);
  const { entry } = log.add(received({ event: "audio_ack" }), 1500);
  assert.equal(log.toText(ALL), '0.000 # (open ws://here/)\n0.021 > (1 × binary)\n1.500 < {"event":"audio_ack"}');
  assert.equal(prettyOf(entry), '{\n  "event": "audio_ack"\n}');
});

test("a tapped socket tells what it sends, what it hears and how it ends", () => {
  class Base extends EventTarget {
    sent = [];
    send(data) {
      this.sent.push(data);
    }
  }
  const told = [];
  const socket = new (tapWebSocket((message) => told.push(message), Base))("ws://here/", []);
  socket.dispatchEvent(new Event("open"));
  socket.send("a");
  socket.dispatchEvent(Object.assign(new Event("message"), { data: "b" }));
  socket.dispatchEvent(Object.assign(new Event("close"), { code: 4422, reason: "bad_config" }));
  assert.deepEqual(socket.sent, ["a"]);
  assert.deepEqual(told.map(({ data, text }) => data ?? text), ["ws://here/", "a", "b", "4422 bad_config"]);
});
