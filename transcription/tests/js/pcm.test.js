import assert from "node:assert/strict";
import { test } from "node:test";

import { bytesToMs, floatToPcm16, measureLevel, mixToMono, Resampler } from "../../../static/js/pcm.js";

const TAU = 2 * Math.PI;

function sine(hz, rateHz, count) {
  return Float32Array.from({ length: count }, (_, i) => 0.5 * Math.sin((TAU * hz * i) / rateHz));
}

function join(parts) {
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

function resample(samples, fromHz, toHz, blockSize) {
  const resampler = new Resampler(fromHz, toHz);
  const parts = [];
  for (let i = 0; i < samples.length; i += blockSize) parts.push(resampler.process(samples.subarray(i, i + blockSize)));
  parts.push(resampler.flush());
  return join(parts);
}

function rms(samples) {
  return measureLevel(samples).rms;
}

test("it writes 16-bit little-endian samples", () => {
  const view = new DataView(floatToPcm16(Float32Array.of(0, 1, -1, 0.5)));
  assert.deepEqual([0, 2, 4, 6].map((at) => view.getInt16(at, true)), [0, 32767, -32768, 16384]);
});

test("it clips what is too loud and makes silence of what is no number", () => {
  const view = new DataView(floatToPcm16(Float32Array.of(3, -3, NaN)));
  assert.deepEqual([0, 2, 4].map((at) => view.getInt16(at, true)), [32767, -32768, 0]);
});

test("it mixes channels to their mean", () => {
  assert.deepEqual([...mixToMono([Float32Array.of(1, 0), Float32Array.of(0, 0.5)])], [0.5, 0.25]);
});

test("it counts 32 bytes as a millisecond", () => {
  assert.equal(bytesToMs(32_000), 1000);
  assert.equal(bytesToMs(31), 0);
});

test("it measures peak and rms", () => {
  assert.deepEqual(measureLevel(Float32Array.of(0.5, -0.5)), { peak: 0.5, rms: 0.5 });
  assert.deepEqual(measureLevel(new Float32Array(0)), { peak: 0, rms: 0 });
});

for (const fromHz of [8000, 22_050, 44_100, 48_000, 96_000]) {
  test(`it resamples ${fromHz} Hz to 16 kHz without changing pitch, level or length`, () => {
    const output = resample(sine(440, fromHz, fromHz), fromHz, 16_000, 4410);
    assert.equal(output.length, 16_000);
    const expected = sine(440, 16_000, 16_000);
    const middle = (samples) => samples.subarray(2000, 14_000);
    const difference = middle(output).map((sample, i) => sample - middle(expected)[i]);
    assert.ok(rms(difference) < 0.002, `error ${rms(difference)}`);
  });
}

test("it takes out what 16 kHz cannot hold instead of folding it into the voice", () => {
  const output = resample(sine(11_000, 48_000, 48_000), 48_000, 16_000, 4800);
  assert.ok(rms(output.subarray(1000, 15_000)) < 0.002);
});

test("the output does not depend on how the input was cut", () => {
  const samples = sine(700, 44_100, 20_000);
  assert.deepEqual(resample(samples, 44_100, 16_000, 20_000), resample(samples, 44_100, 16_000, 441));
  assert.deepEqual(resample(samples, 44_100, 16_000, 20_000), resample(samples, 44_100, 16_000, 7));
});

test("it makes nothing of nothing", () => {
  const resampler = new Resampler(48_000);
  assert.equal(resampler.process(new Float32Array(0)).length, 0);
  assert.equal(resampler.flush().length, 0);
});

test("it refuses a rate of zero", () => {
  assert.throws(() => new Resampler(0), RangeError);
});
