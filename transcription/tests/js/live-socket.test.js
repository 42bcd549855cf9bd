import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { LiveSocket } from "../../../static/js/live-socket.js";
import { FakeClock } from "./fake-clock.js";
import { FakeWebSocket } from "./fake-web-socket.js";

const clock = new FakeClock();

beforeEach(() => {
  clock.install();
  globalThis.location = new URL("https://speech.test/console/");
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  globalThis.addEventListener = () => {};
});

afterEach(() => {
  clock.uninstall();
  for (const name of ["location", "document", "addEventListener"]) delete globalThis[name];
});

function open(options = {}) {
  const socket = new LiveSocket("/ws/console/", { WebSocketClass: FakeWebSocket, ...options });
  const statuses = [];
  socket.addEventListener("status", ({ detail }) => {
    if (statuses.at(-1) !== detail.status) statuses.push(detail.status);
  });
  socket.open();
  return { socket, statuses };
}

test("it uses the page's host and a safe scheme", () => {
  open();
  assert.equal(FakeWebSocket.last.url, "wss://speech.test/ws/console/");
});

test("it comes back after a loss, and says so meanwhile", () => {
  const { statuses } = open();
  const first = FakeWebSocket.last;
  first.tell({ event: "snapshot" });
  first.drop(1006);
  clock.tick(1600);
  assert.notEqual(FakeWebSocket.last, first);
  FakeWebSocket.last.tell({ event: "snapshot" });
  assert.deepEqual(statuses, ["connected", "reconnecting", "connected"]);
});

test("it says offline after half a minute, and goes on trying", () => {
  const { statuses } = open();
  FakeWebSocket.last.tell({ event: "snapshot" });
  for (let i = 0; i < 40; i += 1) {
    if (FakeWebSocket.last.readyState === 1) FakeWebSocket.last.drop(1006);
    clock.tick(1000);
  }
  assert.equal(statuses.at(-1), "offline");
  if (FakeWebSocket.last.readyState === 1) FakeWebSocket.last.drop(1006);
  const last = FakeWebSocket.last;
  clock.tick(31_000);
  assert.notEqual(FakeWebSocket.last, last);
});

for (const code of [4401, 4403, 4404]) {
  test(`it does not try again after ${code}`, () => {
    const { statuses } = open();
    const first = FakeWebSocket.last;
    first.drop(code);
    clock.tick(120_000);
    assert.equal(FakeWebSocket.last, first);
    assert.deepEqual(statuses, ["refused"]);
  });
}

test("a connection that died without a word is given up and made anew", () => {
  open({ silenceMs: 12_000 });
  const first = FakeWebSocket.last;
  first.tell({ event: "kpis" });
  clock.tick(13_000);
  assert.equal(first.isClosed, true);
  clock.tick(2000);
  assert.notEqual(FakeWebSocket.last, first);
});

test("it makes its address anew for each attempt", () => {
  let after = 1;
  const socket = new LiveSocket(() => `/ws/sessions/a/?after=${after}`, { WebSocketClass: FakeWebSocket });
  socket.open();
  after = 7;
  FakeWebSocket.last.drop(1006);
  clock.tick(1600);
  assert.equal(FakeWebSocket.last.url, "wss://speech.test/ws/sessions/a/?after=7");
});

test("it says things only while there is a connection", () => {
  const { socket } = open();
  FakeWebSocket.last.tell({ event: "snapshot" });
  socket.send({ type: "in_sight", session_ids: ["one"] });
  assert.deepEqual(FakeWebSocket.last.sent.map((text) => JSON.parse(text)), [{ type: "in_sight", session_ids: ["one"] }]);
  FakeWebSocket.last.drop(1006);
  socket.send({ type: "in_sight", session_ids: [] });
  assert.equal(FakeWebSocket.last.sent.length, 1);
});
