import "./fake-clock.js"; // CustomEvent, where the runtime has none
import assert from "node:assert/strict";
import { test } from "node:test";

import { MAX_WAITING_WRITES, newRecording, RecordingJournal } from "../../../static/js/recording-journal.js";
import { MAX_AGE_MS, MAX_RECORDINGS, RecordingStore } from "../../../static/js/recording-store.js";
import { FakeIndexedDB, FakeKeyRange, FakeLocks } from "./fake-indexed-db.js";

const NOON = Date.UTC(2026, 0, 5, 12);

async function openStore() {
  const [indexedDB, locks] = [new FakeIndexedDB(), new FakeLocks()];
  const browser = { indexedDB, IDBKeyRange: FakeKeyRange, locks };
  return { store: await RecordingStore.open(browser), indexedDB, browser };
}

function recordingOf(sessionId, fields = {}) {
  return { ...newRecording({ sessionId, owner: "1", config: {}, title: "", startedAt: NOON }), ...fields };
}

/** What a journal listens to. */
class FakeSocket extends EventTarget {
  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

const audioFrom = (start, length) => Uint8Array.from({ length }, (_, index) => (start + index) % 251);
const bytesOf = (pieces) => pieces.flatMap((piece) => [...piece]);
const settle = () => new Promise((resolve) => setImmediate(resolve));

test("a browser without IndexedDB or locks keeps nothing, silently", async () => {
  const { browser } = await openStore();
  assert.equal(await RecordingStore.open({ ...browser, indexedDB: undefined }), null);
  assert.equal(await RecordingStore.open({ ...browser, locks: undefined }), null);
  const blocked = { open: () => { throw new DOMException("no", "SecurityError"); } };
  assert.equal(await RecordingStore.open({ ...browser, indexedDB: blocked }), null);
});

test("a page that went away leaves its recording with everything that was not settled", async () => {
  const { store } = await openStore();
  const socket = new FakeSocket();
  const journal = new RecordingJournal(store, recordingOf("a", { title: "Choir" }));
  journal.follow(socket);
  for (let start = 0; start < 64_000; start += 3200) journal.append(audioFrom(start, 3200).buffer);
  socket.tell("transcription_started", { resume_token: "again" });
  socket.tell("progress", { safeBytes: 20_000 });
  await journal.release();
  await settle();
  const [left] = await store.leftBehind("1", NOON);
  assert.deepEqual([left.sessionId, left.resumeToken, left.title, left.safeBytes], ["a", "again", "Choir", 20_000]);
  const { startBytes, pieces, endBytes } = await store.audio(left);
  assert.deepEqual([startBytes <= 20_000, endBytes], [true, 64_000]);
  assert.deepEqual(bytesOf(pieces), [...audioFrom(startBytes, 64_000 - startBytes)]);
});

test("audio that is settled is removed, so that no more is kept than the service lacks", async () => {
  const { store, indexedDB } = await openStore();
  const socket = new FakeSocket();
  const journal = new RecordingJournal(store, recordingOf("a"));
  journal.follow(socket);
  for (let i = 0; i < 100; i += 1) {
    journal.append(new ArrayBuffer(3200));
    socket.tell("progress", { safeBytes: i * 3200 });
  }
  await settle();
  assert.ok(indexedDB.rows("audio").length <= 2, String(indexedDB.rows("audio").length));
});

test("a recording whose end was confirmed leaves nothing", async () => {
  const { store, indexedDB } = await openStore();
  const journal = new RecordingJournal(store, recordingOf("a"));
  journal.follow(new FakeSocket());
  journal.append(new ArrayBuffer(50_000));
  await journal.discard();
  await settle();
  assert.deepEqual([indexedDB.rows("recordings"), indexedDB.rows("audio")], [[], []]);
});

test("a recording without audio was none", async () => {
  const { store, indexedDB } = await openStore();
  const journal = new RecordingJournal(store, recordingOf("a"));
  journal.follow(new FakeSocket());
  await journal.release();
  assert.deepEqual(indexedDB.rows("recordings"), []);
});

test("recordings of open pages and of other people are not offered", async () => {
  const { store } = await openStore();
  await store.add(recordingOf("mine", { startedAt: NOON - 2 }));
  await store.add(recordingOf("running", { startedAt: NOON - 1 }));
  await store.add(recordingOf("theirs", { owner: "2" }));
  const release = await store.claim("running");
  assert.deepEqual((await store.leftBehind("1", NOON)).map(({ id }) => id), ["mine"]);
  release();
  await settle();
  assert.deepEqual((await store.leftBehind("1", NOON)).map(({ id }) => id), ["running", "mine"]);
});

test("old recordings are removed, and the oldest give way to new ones", async () => {
  const { store, indexedDB } = await openStore();
  for (let i = 0; i < MAX_RECORDINGS + 2; i += 1) await store.add(recordingOf(`r${i}`, { startedAt: NOON + i }));
  assert.equal(indexedDB.rows("recordings").length, MAX_RECORDINGS);
  assert.equal((await store.leftBehind("1", NOON + 10))[0].id, `r${MAX_RECORDINGS + 1}`);
  assert.deepEqual(await store.leftBehind("1", NOON + MAX_AGE_MS + 100), []);
  assert.deepEqual(indexedDB.rows("recordings"), []);
});

test("pieces after a hole are left out", async () => {
  const { store } = await openStore();
  const recording = recordingOf("a");
  await store.add(recording);
  await store.addAudio("a", 100, audioFrom(0, 100));
  await store.addAudio("a", 300, audioFrom(200, 100));
  const { startBytes, endBytes, pieces } = await store.audio(recording);
  assert.deepEqual([startBytes, endBytes, pieces.length], [0, 100, 1]);
});

test("a recording that moved to a new session counts on in its own positions", async () => {
  const { store, indexedDB } = await openStore();
  const recording = recordingOf("a", { safeBytes: 1000, resumeToken: "old" });
  await store.add(recording);
  await store.addAudio("a", 3000, audioFrom(1000, 2000));
  const socket = new FakeSocket();
  const journal = new RecordingJournal(store, recording, 3000);
  journal.follow(socket);
  journal.moveTo("b", 1000);
  socket.tell("transcription_started", { resume_token: "new" });
  socket.tell("progress", { safeBytes: 1500 });
  await settle();
  const [stored] = indexedDB.rows("recordings");
  assert.deepEqual(
    [stored.id, stored.sessionId, stored.resumeToken, stored.basisBytes, stored.safeBytes],
    ["a", "b", "new", 1000, 2500],
  );
});

test("a store that is full ends the journal and nothing else", async () => {
  const { store, indexedDB } = await openStore();
  const journal = new RecordingJournal(store, recordingOf("a"));
  journal.follow(new FakeSocket());
  indexedDB.refusal = new DOMException("full", "QuotaExceededError");
  journal.append(new ArrayBuffer(50_000));
  await settle();
  assert.equal(journal.isOn, false);
  journal.append(new ArrayBuffer(50_000));
  await journal.release();
});

test("a store that does not answer is left alone", async () => {
  const { store, indexedDB } = await openStore();
  const journal = new RecordingJournal(store, recordingOf("a"));
  journal.follow(new FakeSocket());
  indexedDB.isStuck = true;
  for (let i = 0; i <= MAX_WAITING_WRITES; i += 1) journal.append(new ArrayBuffer(50_000));
  assert.equal(journal.isOn, false);
});
