import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import {
  FIRST_RETRY_MS,
  isRetryable,
  LONGEST_RETRY_MS,
  MAX_HELD_BYTES,
  MAX_MESSAGE_BYTES,
  RESUME_GRACE_MS,
  SILENCE_TIMEOUT_MS,
  STABLE_MS,
  START_TIMEOUT_MS,
  TranscriptionSocket,
} from "../../../static/js/transcription-socket.js";
import { FakeClock } from "./fake-clock.js";
import { FakeWebSocket } from "./fake-web-socket.js";

const URL = "ws://speech.test/api/v1/transcribe/a";
const TOKEN = "resume-me";
const EVENTS = ["reconnecting", "resumed", "caught-up", "buffer-full", "revised", "transcript", "transcription_stopped", "closed"];

const clock = new FakeClock();
beforeEach(() => clock.install());
afterEach(() => clock.uninstall());

/** A socket whose session is started; server() is the newest connection. random: 0.5 is no jitter. */
function open({ limit = null, limits = {}, ...options } = {}) {
  const socket = new TranscriptionSocket(URL, { WebSocketClass: FakeWebSocket, random: () => 0.5, ...options });
  const heard = [];
  for (const name of EVENTS) socket.addEventListener(name, ({ detail }) => heard.push([name, detail]));
  const named = (wanted) => heard.filter(([name]) => name === wanted).map(([, detail]) => detail);
  socket.open();
  if (!options.resume) FakeWebSocket.last.start(limit, TOKEN, limits);
  return { socket, named, server: () => FakeWebSocket.last };
}

/** Audio that says its own position, so that a test sees which bytes were sent. */
function audioFrom(start, length) {
  return Uint8Array.from({ length }, (_, index) => (start + index) % 251);
}

const joined = (server) => Uint8Array.from(server.audio.flatMap((chunk) => [...new Uint8Array(chunk)]));

function reconnect(server) {
  const before = server();
  for (let passedMs = 0; server() === before && passedMs <= LONGEST_RETRY_MS * 1.5; passedMs += 25) clock.tick(25);
  assert.notEqual(server(), before, "it connected again");
  return server();
}

test("a lost connection is resumed, and audio goes on from where the service wants it", () => {
  const { socket, server, named } = open();
  socket.send(audioFrom(0, 3000));
  server().ack(1000, null);
  server().drop(1006);
  socket.send(audioFrom(3000, 500));
  const second = reconnect(server);
  second.greet();
  assert.deepEqual(second.messages, [
    { type: "resume_transcription", resume_token: TOKEN, received_segments: 0, held_from: 1000 },
  ]);
  second.tell({ event: "transcription_resumed", session_id: "a", audio_offset: 2000, next_segment: 0 });
  assert.equal(second.audioBytes, 0, "nothing before the first credit");
  second.ack(2000, null);
  assert.deepEqual(joined(second), audioFrom(2000, 1500));
  assert.deepEqual(named("resumed"), [{ audioOffset: 2000, lateBytes: 1500 }]);
  assert.deepEqual(named("caught-up"), [{ lateBytes: 1500 }]);
  assert.equal(socket.state, "started");
});

test("audio that the service had before the connection broke was not late", () => {
  const { socket, server, named } = open();
  socket.send(audioFrom(0, 3000));
  server().tell({ event: "audio_ack", received: 3000, safe: 0, limit: null });
  server().drop(1006);
  socket.send(audioFrom(3000, 200));
  reconnect(server).resume(0);
  assert.deepEqual(named("resumed"), [{ audioOffset: 0, lateBytes: 200 }]);
  assert.deepEqual(joined(server()), audioFrom(0, 3200));
});

test("pieces that waited are sent as few messages within the limit", () => {
  const { socket, server } = open();
  server().drop(1006);
  for (let start = 0; start < 96_000; start += 3200) socket.send(audioFrom(start, 3200));
  const second = reconnect(server);
  second.resume(0, 80_000);
  assert.deepEqual(second.audio.map((chunk) => chunk.byteLength), [MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES, 80_000 - 2 * MAX_MESSAGE_BYTES]);
  second.ack(0, 200_000);
  assert.deepEqual(joined(second), audioFrom(0, 96_000));
});

test("it says how many finals it holds, less those that were withdrawn", () => {
  const { server, named } = open();
  const final = (segment) => ({ event: "transcript", segment, is_final: true, text: "Words.", durable: true });
  server().tell(final(0));
  server().tell(final(1));
  server().tell({ event: "transcript", segment: 2, is_final: false, text: "not yet" });
  server().drop(1006);
  const second = reconnect(server);
  second.greet();
  assert.equal(second.messages[0].received_segments, 2);
  second.tell({ event: "transcription_resumed", audio_offset: 0, next_segment: 1 });
  second.tell({ event: "revised", from_segment: 1 });
  assert.deepEqual(named("revised"), [{ event: "revised", from_segment: 1 }]);
  second.drop(1006);
  const third = reconnect(server);
  third.greet();
  assert.equal(third.messages[0].received_segments, 1);
});

test("an offset beyond what is held moves the end: the service knows more than a page that was reloaded", () => {
  const resume = { token: TOKEN, heldFrom: 100, pieces: [audioFrom(100, 200)], receivedSegments: 0 };
  const { socket, server } = open({ resume });
  server().resume(500);
  assert.equal(server().audioBytes, 0);
  assert.equal(socket.endBytes, 500);
  socket.send(audioFrom(500, 20));
  assert.deepEqual(joined(server()), audioFrom(500, 20));
});

test("an offset before what is held ends the session: what was asked for is gone", () => {
  const { socket, server, named } = open();
  socket.send(audioFrom(0, 3000));
  server().ack(2000, null);
  server().drop(1006);
  reconnect(server).greet();
  server().tell({ event: "transcription_resumed", audio_offset: 1000, next_segment: 0 });
  assert.equal(server().audioBytes, 0);
  assert.deepEqual(named("closed").map(({ code, reason }) => [code, reason]), [[0, "audio_forgotten"]]);
  assert.equal(socket.state, "closed");
});

test("audio that was kept by a page that is gone is resumed and stopped", () => {
  const resume = { token: TOKEN, heldFrom: 100, pieces: [audioFrom(100, 200), audioFrom(300, 50).buffer], receivedSegments: 3 };
  const { socket, server } = open({ resume });
  socket.stop();
  server().greet();
  assert.deepEqual(server().messages, [
    { type: "resume_transcription", resume_token: TOKEN, received_segments: 3, held_from: 100 },
  ]);
  server().tell({ event: "transcription_resumed", audio_offset: 120, next_segment: 3 });
  server().ack(120, null);
  assert.deepEqual(joined(server()), audioFrom(120, 230));
  assert.equal(server().messages.at(-1).type, "stop_transcription");
});

for (const state of ["started", "catching up", "waiting to connect", "connecting again", "greeted again"]) {
  test(`a connection that is lost while ${state} is made again`, () => {
    const { socket, server } = open();
    socket.send(audioFrom(0, 1000));
    server().drop(1006);
    if (state === "catching up") reconnect(server).resume(0, 500);
    if (state === "connecting again") reconnect(server);
    if (state === "greeted again") reconnect(server).greet();
    if (state !== "started" && state !== "waiting to connect") server().drop(1006);
    reconnect(server).resume(0);
    assert.deepEqual(joined(server()), audioFrom(0, 1000));
  });
}

test("a connection that is lost before the session was started is not made again", () => {
  const socket = new TranscriptionSocket(URL, { WebSocketClass: FakeWebSocket });
  const closed = [];
  socket.addEventListener("closed", ({ detail }) => closed.push(detail.code));
  socket.open();
  FakeWebSocket.last.greet();
  FakeWebSocket.last.drop(1006);
  assert.deepEqual(closed, [1006]);
});

test("a session that cannot be resumed is over with its connection, and holds nothing that was sent", () => {
  const { socket, server, named } = open();
  server().start(null, null);
  socket.send(audioFrom(0, 3000));
  assert.equal(socket.queuedBytes, 0);
  server().drop(1006);
  assert.equal(named("closed")[0].code, 1006);
});

test("an attempt that nobody answers in time counts as lost", () => {
  const { server, named } = open();
  server().drop(1006);
  clock.tick(FIRST_RETRY_MS);
  const silent = server();
  clock.tick(START_TIMEOUT_MS);
  assert.equal(silent.isClosed, true);
  assert.equal(named("reconnecting").length, 2);
});

test("an old connection that comes back to life is not listened to", () => {
  const { server, named } = open();
  const first = server();
  first.drop(1006);
  reconnect(server).resume(0);
  assert.equal(first.onmessage, null);
  assert.equal(named("closed").length, 0);
});

test("waits double from a quarter of a second to eight, up to half as much less or more", () => {
  const delays = (random) => {
    const { server, named } = open({ random: () => random });
    server().drop(1006);
    for (let i = 0; i < 7; i += 1) {
      clock.tick(LONGEST_RETRY_MS * 1.5);
      server().drop(1006);
    }
    return named("reconnecting").map(({ delayMs }) => delayMs);
  };
  assert.deepEqual(delays(0.5), [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
  assert.deepEqual(delays(0), [125, 250, 500, 1000, 2000, 4000, 4000, 4000]);
  assert.equal(delays(0.999999).at(-1).toFixed(0), "12000");
});

test("only a connection that held for five seconds begins again with the first wait", () => {
  const { server, named } = open();
  server().drop(1006);
  reconnect(server).resume(0);
  clock.tick(STABLE_MS - 1);
  server().drop(1006);
  reconnect(server).resume(0);
  clock.tick(STABLE_MS);
  server().drop(1006);
  assert.deepEqual(named("reconnecting").map(({ delayMs }) => delayMs), [250, 500, 250]);
});

test("it waits as long as the service asks for", () => {
  const { server, named } = open();
  server().fail(4503, { retry_after_ms: 3000 });
  assert.equal(named("reconnecting")[0].delayMs, 3000);
  const before = server();
  clock.tick(2999);
  assert.equal(server(), before);
  clock.tick(1);
  assert.notEqual(server(), before);
});

test("a device that is on a network again does not wait, unless the service asked for it", () => {
  const network = new EventTarget();
  globalThis.addEventListener = network.addEventListener.bind(network);
  globalThis.removeEventListener = network.removeEventListener.bind(network);
  try {
    const { socket, server } = open();
    const first = server();
    first.drop(1006);
    network.dispatchEvent(new Event("online"));
    const second = server();
    assert.notEqual(second, first);
    second.resume(0);
    second.fail(4503, { retry_after_ms: 3000 });
    network.dispatchEvent(new Event("online"));
    assert.equal(server(), second);
    socket.close();
    network.dispatchEvent(new Event("online"));
    assert.equal(server(), second);
  } finally {
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
  }
});

for (const code of [4400, 4401, 4403, 4404, 4409, 4410, 4413, 4415, 4422, 4490]) {
  test(`${code} is final, while connected and while resuming`, () => {
    const { server, named } = open();
    server().fail(code, { retryable: false });
    assert.equal(named("closed")[0].code, code);

    const other = open();
    other.server().drop(1006);
    reconnect(other.server).greet();
    other.server().fail(code, { retryable: false });
    assert.equal(other.named("closed")[0].code, code);
  });
}

for (const code of [1001, 1005, 1006, 1011, 1012, 4408, 4429, 4500, 4502, 4503, 4504, 4507]) {
  test(`${code} is retried`, () => {
    assert.equal(isRetryable(code), true);
    const { server, named } = open();
    server().drop(code);
    assert.equal(named("reconnecting")[0].code, code);
  });
}

test("the event decides over its number", () => {
  assert.equal(isRetryable(4502, { code: 4502, retryable: false }), false);
  assert.equal(isRetryable(1006, { code: 4401, retryable: false }), false);
  assert.equal(isRetryable(1000), false);
});

test("a message that was refused earlier does not make a lost connection final", () => {
  const { server, named } = open();
  server().tell({ event: "error", code: 4400, reason: "unknown_type", message: "No.", retryable: false, safe: 0 });
  server().drop(1006);
  assert.equal(named("reconnecting").length, 1);
});

test("a stop asked for while disconnected is sent after everything that was held", () => {
  const { socket, server } = open();
  socket.send(audioFrom(0, 1000));
  server().drop(1006);
  socket.send(audioFrom(1000, 1000));
  socket.stop();
  const second = reconnect(server);
  second.resume(0, 500);
  assert.equal(second.messages.at(-1).type, "resume_transcription");
  second.ack(0, null);
  assert.deepEqual(joined(second), audioFrom(0, 2000));
  assert.equal(second.messages.at(-1).type, "stop_transcription");
});

test("a stop whose answer was lost is answered again after resuming", () => {
  const { socket, server, named } = open();
  socket.send(audioFrom(0, 1000));
  socket.stop();
  assert.equal(server().messages.at(-1).type, "stop_transcription");
  server().drop(1006);
  const second = reconnect(server);
  second.greet();
  second.tell({ event: "transcription_resumed", audio_offset: 1000, next_segment: 1 });
  second.tell({ event: "transcript", segment: 0, is_final: true, text: "All of it.", durable: true });
  second.tell({ event: "transcription_stopped", reason: "client", audio_ms: 31, received: 1000, safe: 1000, segments: 1, gaps: [] });
  second.drop(1000);
  assert.equal(named("transcript").length, 1);
  assert.deepEqual(named("closed").map(({ code, stopped }) => [code, stopped.reason]), [[1000, "client"]]);
});

test("an answered stop whose close was lost is over", () => {
  const { socket, server, named } = open();
  socket.stop();
  server().tell({ event: "transcription_stopped", reason: "client", audio_ms: 0, received: 0, safe: 0, segments: 0, gaps: [] });
  server().drop(1006);
  assert.equal(named("reconnecting").length, 0);
  assert.equal(named("closed")[0].code, 1000);
});

test("the end of an utterance is asked for again when its audio is sent again", () => {
  const { socket, server } = open();
  socket.send(audioFrom(0, 1000));
  socket.finalize();
  server().drop(1006);
  socket.send(audioFrom(1000, 500));
  const second = reconnect(server);
  second.resume(0);
  assert.deepEqual(second.sent.slice(1).map((data) => data.byteLength ?? data), [1000, '{"type":"finalize"}', 500]);
});

test("it gives up when the window is over, and says what is not safe", () => {
  const { socket, server, named } = open({ limits: { resume_window_ms: 20_000 } });
  socket.send(audioFrom(0, 1000));
  server().ack(400, null);
  server().drop(1006);
  for (let passedMs = 0; passedMs < 20_000 + RESUME_GRACE_MS; passedMs += 1000) {
    clock.tick(1000);
    if (server().readyState === 1) server().drop(1006);
  }
  const [closed] = named("closed");
  assert.deepEqual([closed.code, closed.reason, closed.unsettledBytes], [0, "resume_window_over", 600]);
  const last = server();
  clock.tick(100_000);
  assert.equal(server(), last, "and never connects again");
});

test("while disconnected it holds ten minutes, and takes more again once some of it is settled", () => {
  const { socket, server, named } = open();
  server().drop(1006);
  assert.equal(socket.send(new ArrayBuffer(MAX_HELD_BYTES)), true);
  assert.equal(socket.send(new ArrayBuffer(3200)), false);
  reconnect(server).resume(0);
  assert.equal(socket.send(new ArrayBuffer(3200)), false, "sent, but not settled");
  server().ack(6400, null);
  assert.equal(socket.send(new ArrayBuffer(3200)), true);
  assert.equal(named("buffer-full").length, 1);
});

test("a connection that no longer answers audio is given up, a quiet one is not", () => {
  const { socket, server, named } = open();
  clock.tick(4 * SILENCE_TIMEOUT_MS);
  socket.send(audioFrom(0, 100));
  clock.tick(4 * SILENCE_TIMEOUT_MS);
  assert.equal(named("reconnecting").length, 0, "a last block before a pause need not be answered");
  server().ack(0, null);
  for (let i = 0; i < 300; i += 1) {
    socket.send(audioFrom(0, 100));
    clock.tick(100);
  }
  assert.equal(named("reconnecting")[0].code, 1006);
});

test("nothing is sent into a connection that is closing while resuming", () => {
  const { server } = open();
  server().drop(1006);
  const second = reconnect(server);
  second.readyState = 2;
  second.resume(0);
  assert.deepEqual(second.sent, []);
});
