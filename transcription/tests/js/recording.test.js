import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import {
  FINISH_TIMEOUT_MS,
  FileRecording,
  MicrophoneRecording,
  outcomeOf,
  RECOVER_TIMEOUT_MS,
  RecoveredRecording,
} from "../../../static/js/recording.js";
import { LONGEST_RETRY_MS, MAX_HELD_BYTES, TranscriptionSocket } from "../../../static/js/transcription-socket.js";
import { FakeClock } from "./fake-clock.js";
import { FakeWebSocket } from "./fake-web-socket.js";

const clock = new FakeClock();
beforeEach(() => clock.install());
afterEach(() => clock.uninstall());

/** The interface of capture.js without a device: the test speaks. */
class FakeMicrophone extends EventTarget {
  constructor({ refusal = null, lastWord = null } = {}) {
    super();
    Object.assign(this, { refusal, lastWord, isStopped: false });
  }

  async start() {
    if (this.refusal) throw this.refusal;
  }

  async stop() {
    if (!this.isStopped && this.lastWord) this.say(this.lastWord);
    this.isStopped = true;
  }

  say(byteLength, peak = 0.3) {
    const detail = { pcm: new ArrayBuffer(byteLength), peak, rms: peak / 2, durationMs: byteLength / 32 };
    this.dispatchEvent(new CustomEvent("block", { detail }));
  }

  tell(name) {
    this.dispatchEvent(new CustomEvent(name));
  }
}

/** The interface of audio-file.js: seconds of silence. */
class FakeAudioFile {
  constructor(seconds, refusal = null) {
    Object.assign(this, { chunkCount: seconds, durationMs: seconds * 1000, refusal, isReleased: false });
  }

  async decode() {
    if (this.refusal) throw this.refusal;
  }

  chunk() {
    return new ArrayBuffer(32_000);
  }

  release() {
    this.isReleased = true;
  }
}

function watch(recording) {
  const heard = { states: [], notices: [], ended: [] };
  recording.addEventListener("state", ({ detail }) => heard.states.push(detail.state));
  recording.addEventListener("notice", ({ detail }) => heard.notices.push(detail));
  recording.addEventListener("ended", ({ detail }) => heard.ended.push(detail));
  return heard;
}

function makeSocket() {
  return new TranscriptionSocket("ws://speech.test/a", { WebSocketClass: FakeWebSocket });
}

async function record(microphone = new FakeMicrophone()) {
  const recording = new MicrophoneRecording(makeSocket(), microphone);
  const heard = watch(recording);
  await recording.start();
  return { recording, microphone, heard, server: FakeWebSocket.last };
}

const settle = async () => {
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
};

test("the first word is kept while the session is being opened", async () => {
  const { microphone, server, heard } = await record();
  microphone.say(3200);
  server.start(null);
  assert.equal(server.audioBytes, 3200);
  assert.deepEqual(heard.states, ["connecting", "recording"]);
});

test("a refused microphone opens no session", async () => {
  FakeWebSocket.last = null;
  const refusal = new DOMException("no", "NotAllowedError");
  await assert.rejects(record(new FakeMicrophone({ refusal })), refusal);
  assert.equal(FakeWebSocket.last, null);
});

test("stop sends the last block, then the stop, then waits for the last words", async () => {
  const { recording, microphone, server, heard } = await record(new FakeMicrophone({ lastWord: 640 }));
  server.start(null);
  microphone.say(3200);
  await recording.stop();
  assert.equal(server.audioBytes, 3840);
  assert.equal(server.messages.at(-1).type, "stop_transcription");
  assert.equal(recording.state, "finishing");
  server.tell({ event: "transcription_stopped", reason: "client", audio_ms: 120, safe: 3840 });
  server.drop(1000);
  assert.equal(heard.ended[0].outcome, "saved");
  assert.equal(heard.ended[0].safeMs, 120);
});

test("a stop before the session is open still sends everything", async () => {
  const { recording, microphone, server } = await record();
  microphone.say(3200);
  await recording.stop();
  server.start(null);
  assert.equal(server.audioBytes, 3200);
  assert.equal(server.messages.at(-1).type, "stop_transcription");
});

test("nothing is sent while paused", async () => {
  const { recording, microphone, server } = await record();
  server.start(null);
  recording.pause();
  microphone.say(3200);
  assert.equal(server.audioBytes, 0);
  recording.resume();
  microphone.say(3200);
  assert.equal(server.audioBytes, 3200);
});

test("a pause ends the utterance, so that its last words become final", async () => {
  const { recording, microphone, server } = await record();
  server.start(null);
  microphone.say(3200);
  recording.pause();
  assert.equal(server.messages.at(-1).type, "finalize");
});

/** The next connection, as soon as it is made. */
function reconnect() {
  const before = FakeWebSocket.last;
  for (let passedMs = 0; FakeWebSocket.last === before && passedMs < 2 * LONGEST_RETRY_MS; passedMs += 25) clock.tick(25);
  return FakeWebSocket.last;
}

test("a recording goes on without a connection, says so, and says how much was late", async () => {
  const { recording, microphone, server, heard } = await record();
  server.start(null, "token");
  server.drop(1006);
  assert.deepEqual([recording.state, recording.isConnected], ["recording", false]);
  microphone.say(64_000);
  reconnect().resume(0);
  assert.equal(recording.isConnected, true);
  const phases = heard.notices.filter(({ name }) => name === "connection").map(({ phase, lateMs }) => [phase, lateMs]);
  assert.deepEqual(phases, [["lost", undefined], ["sending", 2000], ["back", 2000]]);
  assert.equal(FakeWebSocket.last.audioBytes, 64_000);
});

test("a loss is told once, and once more when it is the recogniser that is down", async () => {
  const { server, heard } = await record();
  server.start(null, "token");
  server.drop(1006);
  for (const code of [4503, 4502, 4502, 4503]) reconnect().fail(code);
  const told = () => heard.notices.filter(({ phase }) => phase === "lost").map(({ isRecogniserDown }) => isRecogniserDown);
  assert.deepEqual(told(), [false, true]);
  reconnect().resume(0);
  FakeWebSocket.last.drop(1006);
  assert.deepEqual(told(), [false, true, false]);
});

test("last words are waited for as long as there is no connection", async () => {
  const { recording, server, heard } = await record();
  server.start(null, "token");
  server.drop(1006);
  await recording.stop();
  clock.tick(3 * FINISH_TIMEOUT_MS);
  assert.equal(recording.state, "finishing");
  FakeWebSocket.last.resume(0);
  assert.equal(FakeWebSocket.last.messages.at(-1).type, "stop_transcription");
  clock.tick(FINISH_TIMEOUT_MS);
  assert.equal(heard.ended[0].outcome, "unfinished");
});

test("a full buffer pauses, and the person goes on", async () => {
  const { recording, microphone, server, heard } = await record();
  server.start(null, "token");
  server.drop(1006);
  microphone.say(MAX_HELD_BYTES);
  microphone.say(3200);
  microphone.say(3200);
  assert.equal(recording.state, "paused");
  const full = () => heard.notices.filter(({ name }) => name === "buffer_full").map(({ isFull }) => isFull);
  assert.deepEqual(full(), [true]);
  recording.resume();
  microphone.say(3200);
  assert.deepEqual([recording.state, full()], ["paused", [true, false, true]]);
  const second = reconnect();
  second.resume(0);
  second.ack(MAX_HELD_BYTES, null);
  recording.resume();
  microphone.say(3200);
  assert.equal(recording.state, "recording");
});

test("what is captured goes into the journal, what is refused does not", async () => {
  const journal = { bytes: 0, append(pcm) { this.bytes += pcm.byteLength; } };
  const microphone = new FakeMicrophone();
  const recording = new MicrophoneRecording(makeSocket(), microphone, journal);
  await recording.start();
  microphone.say(3200);
  microphone.say(MAX_HELD_BYTES);
  assert.equal(journal.bytes, 3200);
});

function recover(pieces = []) {
  const resume = { token: "token", heldFrom: 1000, pieces: [new Uint8Array(2000)] };
  const options = pieces.length ? {} : { resume };
  const recording = new RecoveredRecording(new TranscriptionSocket("ws://speech.test/a", { WebSocketClass: FakeWebSocket, ...options }), pieces);
  const heard = watch(recording);
  recording.start();
  return { recording, heard, server: FakeWebSocket.last };
}

test("a recording of an earlier visit is sent and finished", () => {
  const { recording, heard, server } = recover();
  server.resume(1000);
  assert.equal(server.audioBytes, 2000);
  assert.equal(server.messages.at(-1).type, "stop_transcription");
  assert.deepEqual([recording.state, heard.notices], ["finishing", []]);
  server.tell({ event: "transcription_stopped", reason: "client", audio_ms: 93, safe: 3000 });
  server.drop(1000);
  assert.equal(heard.ended[0].outcome, "saved");
});

test("a recording whose session is over is told as too late", () => {
  const { heard, server } = recover();
  server.greet();
  server.fail(4404, { retryable: false });
  assert.deepEqual([heard.ended[0].outcome, heard.ended[0].hasStarted], ["too_late", false]);
});

test("a recording that nobody answers for is given up for now", () => {
  const { heard, server } = recover();
  server.drop(1006);
  clock.tick(RECOVER_TIMEOUT_MS);
  assert.equal(heard.ended[0].outcome, "unreachable");
});

test("what was held goes into a session of its own", () => {
  const { server } = recover([new Uint8Array(300), new Uint8Array(200)]);
  server.start(null, "other");
  assert.equal(server.audioBytes, 500);
  assert.equal(server.messages.at(-1).type, "stop_transcription");
});

test("last words that never come are given up ten seconds after the last sign of life", async () => {
  const { recording, server, heard } = await record();
  server.start(null);
  await recording.stop();
  clock.tick(FINISH_TIMEOUT_MS - 1);
  server.tell({ event: "transcript", segment: 0, is_final: false, text: "still" });
  clock.tick(FINISH_TIMEOUT_MS - 1);
  assert.equal(recording.state, "finishing");
  clock.tick(1);
  assert.equal(heard.ended[0].outcome, "unfinished");
});

test("a lost connection says what is safe and frees the microphone", async () => {
  const { microphone, server, heard } = await record();
  server.start(null);
  microphone.say(64_000);
  server.ack(32_000, null);
  server.drop(1006);
  assert.deepEqual(heard.ended.map(({ outcome, safeMs }) => [outcome, safeMs]), [["lost", 1000]]);
  assert.equal(microphone.isStopped, true);
});

test("a microphone that goes away finishes the recording", async () => {
  const { recording, microphone, server, heard } = await record();
  server.start(null);
  microphone.tell("lost");
  await settle();
  assert.equal(recording.state, "finishing");
  assert.equal(heard.notices[0].name, "microphone_lost");
});

test("it says once that nothing can be heard, and once that it is well again", async () => {
  const { microphone, server, heard } = await record();
  server.start(null);
  for (let i = 0; i < 80; i += 1) microphone.say(3200, 0);
  microphone.say(3200, 0.3);
  assert.deepEqual(heard.notices.map(({ word }) => word), ["silent", "normal"]);
});

test("a file is fed no faster than the server takes it", async () => {
  const file = new FakeAudioFile(100);
  const recording = new FileRecording(makeSocket(), file);
  const heard = watch(recording);
  await recording.start(3_600_000);
  const server = FakeWebSocket.last;
  server.start(64_000);
  assert.equal(server.audioBytes, 64_000);
  assert.ok(recording.socket.queuedBytes <= 256 * 1024 + 32_000);
  for (let limit = 640_000; limit <= 3_840_000; limit += 640_000) server.ack(limit - 640_000, limit);
  assert.equal(server.audioBytes, 3_200_000);
  assert.equal(server.messages.at(-1).type, "stop_transcription");
  server.tell({ event: "transcription_stopped", reason: "client", safe: 3_200_000 });
  server.drop(1000);
  assert.equal(heard.ended[0].outcome, "saved");
  assert.equal(file.isReleased, true);
});

test("a file that cannot be decoded opens no session", async () => {
  FakeWebSocket.last = null;
  const refusal = new Error("decode");
  const recording = new FileRecording(makeSocket(), new FakeAudioFile(1, refusal));
  await assert.rejects(recording.start(1), refusal);
  assert.equal(FakeWebSocket.last, null);
});

test("a cancelled recording ends once, as cancelled", async () => {
  const { recording, server, heard } = await record();
  server.start(null);
  recording.cancel();
  assert.deepEqual(heard.ended.map(({ outcome }) => outcome), ["cancelled"]);
  assert.equal(server.isClosed, true);
});

const stopped = { reason: "client" };
for (const [outcome, closed, hasStarted] of [
  ["saved", { code: 1000, error: null, stopped }, true],
  ["limit", { code: 4410, error: { code: 4410 }, stopped }, true],
  ["stopped_by_operator", { code: 4490, error: { code: 4490 }, stopped }, true],
  ["lost", { code: 1006, error: null, stopped: null }, true],
  ["lost", { code: 1012, error: null, stopped: null }, true],
  ["unreachable", { code: 1006, error: null, stopped: null }, false],
  ["unreachable", { code: 0, error: null, stopped: null }, false],
  ["limit", { code: 1000, error: null, stopped: { reason: "session_timeout" } }, true],
  ["too_late", { code: 4410, error: { code: 4410, reason: "resume_window_over" }, stopped: null }, true],
  ["too_late", { code: 4404, error: { code: 4404 }, stopped: null }, true],
  ["lost", { code: 0, reason: "resume_window_over", error: null, stopped: null }, true],
  ["failed", { code: 4503, error: { code: 4503 }, stopped: null }, false],
  ["failed", { code: 4502, error: { code: 4502 }, stopped: null }, true],
  ["failed", { code: 1009, error: null, stopped: null }, true],
  ["failed", { code: 1006, error: { code: 4507 }, stopped: null }, true],
]) {
  test(`a close with ${closed.code} ${hasStarted ? "after" : "before"} the start is "${outcome}"`, () => {
    assert.equal(outcomeOf(closed, hasStarted), outcome);
  });
}
