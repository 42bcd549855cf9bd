import assert from "node:assert/strict";
import { test } from "node:test";

import { bytesPerSecond, toALaw, toMuLaw, WireAudio } from "../../../static/js/wire-audio.js";

// From the tables of ITU-T G.711.
test("samples become mu-law", () => {
  assert.deepEqual([0, 1000, -1000, 32_767, -32_768].map(toMuLaw), [0xff, 0xce, 0x4e, 0x80, 0x00]);
});

test("samples become A-law", () => {
  assert.deepEqual([0, 1000, -1000, 32_767, -32_768].map(toALaw), [0xd5, 0xfa, 0x7a, 0xaa, 0x2a]);
});

test("what the pages capture goes as it is where nothing else is asked for", () => {
  const pcm = new ArrayBuffer(3200);
  const wire = new WireAudio({ encoding: "LINEAR_PCM", sampleRateHz: 16_000 });
  assert.equal(wire.encode(pcm), pcm);
  assert.equal(wire.flush().byteLength, 0);
});

for (const [encoding, sampleRateHz] of [["LINEAR_PCM", 48_000], ["LINEAR_PCM", 8000], ["MULAW", 8000], ["ALAW", 16_000]]) {
  test(`a second of sound has as many bytes as ${encoding} at ${sampleRateHz} Hz declares`, () => {
    const wire = new WireAudio({ encoding, sampleRateHz });
    const parts = Array.from({ length: 10 }, () => wire.encode(new ArrayBuffer(3200)));
    const size = [...parts, wire.flush()].reduce((sum, part) => sum + part.byteLength, 0);
    assert.equal(size, bytesPerSecond({ encoding, sampleRateHz }));
  });
}
