import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import {
  HIGH_WATER_BYTES,
  KEEPALIVE_MS,
  MAX_HELD_BYTES,
  START_TIMEOUT_MS,
  TranscriptionSocket,
} from "../../../static/js/transcription-socket.js";
import { FakeClock } from "./fake-clock.js";
import { FakeWebSocket } from "./fake-web-socket.js";

const URL = "ws://speech.test/api/v1/transcribe/a";

const clock = new FakeClock();
beforeEach(() => clock.install());
afterEach(() => clock.uninstall());

function open(options = {}) {
  const socket = new TranscriptionSocket(URL, { WebSocketClass: FakeWebSocket, ...options });
  const heard = [];
  for (const name of ["transcript", "closed", "network", "error", "buffer-full"]) {
    socket.addEventListener(name, ({ detail }) => heard.push([name, detail]));
  }
  socket.open();
  return { socket, server: FakeWebSocket.last, heard };
}

test("it starts the session with its config once the server has greeted", () => {
  const { server } = open({ config: { language: "de-DE" } });
  assert.deepEqual(server.sent, []);
  server.tell({ event: "session_created", limits: {} });
  assert.deepEqual(server.messages, [{ type: "start_transcription", config: { language: "de-DE" } }]);
});

test("it offers a token as a subprotocol, and none without a token", () => {
  assert.deepEqual(open({ token: "abc" }).server.protocols, ["speech.v1", "speech.token.abc"]);
  assert.deepEqual(open().server.protocols, []);
});

test("it keeps audio until the session is started and the server has named a limit", () => {
  const { socket, server } = open();
  socket.send(new ArrayBuffer(3200));
  server.tell({ event: "session_created", limits: {} });
  server.tell({ event: "transcription_started" });
  assert.equal(server.audioBytes, 0);
  server.ack(0, 1_000_000);
  assert.equal(server.audioBytes, 3200);
});

test("it never sends past the limit, and goes on when the limit moves", () => {
  const { socket, server } = open();
  server.start(5001);
  socket.send(new ArrayBuffer(8000));
  assert.equal(server.audioBytes, 5000, "half a sample is not sent");
  server.ack(5000, 100_000);
  assert.equal(server.audioBytes, 8000);
  assert.equal(socket.queuedBytes, 0);
});

test("it sends without limit where the server sets none", () => {
  const { socket, server } = open();
  server.start(null);
  socket.send(new ArrayBuffer(100_000));
  assert.equal(server.audioBytes, 100_000);
});

test("it cuts messages to what the server takes", () => {
  const { socket, server } = open();
  server.tell({ event: "session_created", limits: { max_audio_bytes: 1024 } });
  server.tell({ event: "transcription_started" });
  server.ack(0, null);
  socket.send(new ArrayBuffer(2500));
  assert.deepEqual(server.sent.slice(1).map((data) => data.byteLength), [1024, 1024, 452]);
});

test("it sends the stop only after all audio", () => {
  const { socket, server } = open();
  server.start(1000);
  socket.send(new ArrayBuffer(2000));
  socket.stop();
  assert.equal(server.messages.at(-1).type, "start_transcription");
  server.ack(1000, 100_000);
  assert.equal(server.audioBytes, 2000);
  assert.equal(server.messages.at(-1).type, "stop_transcription");
});

test("it sends nothing into a socket that the server is closing", () => {
  const { socket, server } = open();
  server.start(null);
  server.readyState = 2;
  socket.send(new ArrayBuffer(3200));
  assert.equal(server.audioBytes, 0);
  assert.equal(socket.queuedBytes, 3200);
});

test("it takes no audio after the stop", () => {
  const { socket, server } = open();
  server.start(null);
  socket.stop();
  assert.equal(socket.send(new ArrayBuffer(2)), false);
  assert.equal(server.audioBytes, 0);
});

test("it refuses audio at the bound of what it holds, and says so once", () => {
  const { socket, heard } = open();
  assert.equal(socket.send(new ArrayBuffer(MAX_HELD_BYTES)), true);
  assert.equal(socket.send(new ArrayBuffer(2)), false);
  assert.equal(socket.send(new ArrayBuffer(2)), false);
  assert.deepEqual(heard, [["buffer-full", { heldBytes: MAX_HELD_BYTES, safeBytes: 0 }]]);
  assert.equal(socket.queuedBytes, MAX_HELD_BYTES);
});

test("it waits for a slow network, says so once, and goes on", () => {
  const { socket, server, heard } = open();
  server.start(null);
  server.bufferedAmount = HIGH_WATER_BYTES + 1;
  socket.send(new ArrayBuffer(3200));
  socket.send(new ArrayBuffer(3200));
  assert.equal(server.audioBytes, 0);
  server.bufferedAmount = 0;
  clock.tick(50);
  assert.equal(server.audioBytes, 6400);
  assert.deepEqual(heard, [["network", { isSlow: true }], ["network", { isSlow: false }]]);
});

test("it keeps a quiet session alive, and only a quiet one", () => {
  const { socket, server } = open();
  server.start(null);
  const keepalives = () => server.messages.filter(({ type }) => type === "keepalive").length;
  clock.tick(KEEPALIVE_MS - 1000);
  socket.send(new ArrayBuffer(3200));
  clock.tick(KEEPALIVE_MS - 1);
  assert.equal(keepalives(), 0);
  clock.tick(1);
  assert.equal(keepalives(), 1);
  clock.tick(KEEPALIVE_MS);
  assert.equal(keepalives(), 2);
});

test("it gives events on under their own names", () => {
  const { server, heard } = open();
  server.start(null);
  server.tell({ event: "transcript", segment: 0, is_final: true, text: "Hello." });
  assert.deepEqual(heard, [["transcript", { event: "transcript", segment: 0, is_final: true, text: "Hello." }]]);
});

test("it tells the end once, with the last error and what is safe", () => {
  const { socket, server, heard } = open();
  server.start(null);
  socket.send(new ArrayBuffer(640));
  const error = { event: "error", code: 4490, message: "Enough.", safe: 640 };
  server.tell(error);
  server.drop(4490);
  socket.close();
  assert.deepEqual(heard.filter(([name]) => name === "closed"), [["closed", { code: 4490, reason: "", error, stopped: null, unsettledBytes: 0 }]]);
  assert.equal(socket.safeBytes, 640);
});

test("it keeps no timer running after the end", () => {
  const { server } = open();
  server.start(null);
  server.drop(1006);
  const before = server.sent.length;
  clock.tick(10 * KEEPALIVE_MS);
  assert.equal(server.sent.length, before);
});

test("it gives up a connection that does not start in time", () => {
  const { server, heard } = open();
  clock.tick(START_TIMEOUT_MS);
  assert.equal(heard[0][1].code, 0);
  assert.equal(server.isClosed, true);
});

test("it asks for the end of an utterance", () => {
  const { socket, server } = open();
  server.start(3000);
  socket.send(new ArrayBuffer(4000));
  socket.finalize();
  socket.send(new ArrayBuffer(4000));
  assert.equal(server.messages.at(-1).type, "start_transcription", "not before the audio it is about");
  server.ack(0, null);
  assert.deepEqual(server.sent.slice(1).map((data) => data.byteLength ?? data), [3000, 1000, '{"type":"finalize"}', 4000]);
});

test("it can be opened once only", () => {
  assert.throws(() => open().socket.open(), /once/);
});
