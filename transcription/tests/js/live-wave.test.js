import assert from "node:assert/strict";
import { test } from "node:test";

import { LiveWave, readHeader, splitChannels } from "../../../static/js/live-wave.js";

function header({ tag = 1, channels = 1, rateHz = 16_000, bits = 16 } = {}) {
  const bytes = new Uint8Array(44);
  const view = new DataView(bytes.buffer);
  view.setUint16(20, tag, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, rateHz, true);
  view.setUint16(34, bits, true);
  return bytes;
}

/** An AudioContext that remembers what starts when. */
function fakeContext(started) {
  return {
    currentTime: 0,
    destination: {},
    createBuffer: (channels, length, rateHz) => ({ duration: length / rateHz, copyToChannel() {} }),
    createBufferSource() {
      return { connect() {}, start(atS) { started.push([atS, this.buffer.duration]); } };
    },
    close() {},
  };
}

test("a header says what follows, where it can be played", () => {
  assert.deepEqual(readHeader(header({ channels: 2, rateHz: 8000 })), { channels: 2, rateHz: 8000 });
  assert.equal(readHeader(header({ tag: 7, bits: 8 })), null);
});

test("channels are told apart", () => {
  const bytes = new Uint8Array(Int16Array.of(16384, -16384, 8192, -8192).buffer);
  assert.deepEqual(splitChannels(bytes, 2).map((samples) => [...samples]), [[0.5, 0.25], [-0.5, -0.25]]);
});

test("blocks of any length are played one after the other, and after a gap a little later", () => {
  const started = [];
  const context = fakeContext(started);
  const wave = new LiveWave({ makeContext: () => context });
  assert.ok(wave.feed(header().slice(0, 10)));
  assert.ok(wave.feed(header().slice(10)));
  wave.feed(new Uint8Array(32_001)); // a sample is cut
  wave.feed(new Uint8Array(15_999));
  assert.deepEqual(started, [[0, 1], [1, 0.5]]);
  context.currentTime = 9;
  wave.feed(new Uint8Array(3200));
  assert.deepEqual(started.at(-1), [9.3, 0.1]);
});

test("what it cannot play it does not take", () => {
  assert.equal(new LiveWave({ makeContext: () => assert.fail() }).feed(header({ tag: 6, bits: 8 })), false);
});
