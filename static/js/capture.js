/** The microphone as a stream of 16 kHz mono PCM16 blocks of 100 ms. */

import { floatToPcm16, measureLevel, Resampler, SAMPLE_RATE_HZ } from "./pcm.js";

const STOP_TIMEOUT_MS = 500;

/** True where the browser lets a page use the microphone at all (HTTPS or localhost). */
export function canCapture() {
  return Boolean(globalThis.isSecureContext && navigator.mediaDevices?.getUserMedia && globalThis.AudioWorkletNode);
}

/** The microphones there are; names are empty until permission was given. */
export async function listMicrophones() {
  if (!canCapture()) return [];
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === "audioinput");
}

/**
 * Events: `block` {pcm: ArrayBuffer, peak, rms, durationMs}; `mute` and `unmute` (the system silenced the track);
 * `lost` (the device went away, or the phone took it).
 */
export class Microphone extends EventTarget {
  constructor({ workletUrl, deviceId = "", noiseSuppression = false }) {
    super();
    this.workletUrl = workletUrl;
    this.constraints = {
      audio: {
        ...(deviceId && { deviceId: { exact: deviceId } }),
        channelCount: 1,
        echoCancellation: noiseSuppression,
        noiseSuppression,
        autoGainControl: true,
      },
    };
    this._stopped = null;
    this._isClosed = false;
  }

  /** Ask for permission and begin. Raises what getUserMedia raises: NotAllowedError, NotFoundError, NotReadableError. */
  async start() {
    const stream = await navigator.mediaDevices.getUserMedia(this.constraints);
    if (this._isClosed) {
      stopTracks(stream);
      return;
    }
    this.stream = stream;
    this._watchTrack(stream.getAudioTracks()[0]);
    try {
      await this._connect();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  get label() {
    return this.stream?.getAudioTracks()[0]?.label ?? "";
  }

  /** Resolves when the last block was given out and the device is free. */
  async stop() {
    if (this._isClosed) return;
    this._isClosed = true;
    if (this.node) await this._lastBlock();
    if (this.stream) stopTracks(this.stream);
    this.source?.disconnect();
    this.node?.disconnect();
    if (this.context && this.context.state !== "closed") await this.context.close();
  }

  async _connect() {
    try {
      await this._build(new AudioContext({ sampleRate: SAMPLE_RATE_HZ, latencyHint: "interactive" }));
    } catch {
      // Firefox refuses a microphone of another rate, some devices a context of 16 kHz: take theirs and resample.
      await this.context?.close();
      await this._build(new AudioContext({ latencyHint: "interactive" }));
    }
  }

  async _build(context) {
    this.context = context;
    this.resampler = context.sampleRate === SAMPLE_RATE_HZ ? null : new Resampler(context.sampleRate);
    await context.audioWorklet.addModule(this.workletUrl);
    this.source = context.createMediaStreamSource(this.stream);
    this.node = new AudioWorkletNode(context, "pcm-worklet", { numberOfOutputs: 1, channelCount: 1, channelCountMode: "explicit" });
    this.node.port.onmessage = ({ data }) => this._onMessage(data);
    // The worklet writes no output, so this plays silence; unconnected nodes are not run by every browser.
    this.source.connect(this.node).connect(context.destination);
    context.onstatechange = () => this._onContextState();
    await context.resume();
  }

  _onMessage(data) {
    if (data.type === "stopped") this._stopped?.();
    else this._emitBlock(this.resampler ? this.resampler.process(data.samples) : data.samples);
  }

  _emitBlock(samples) {
    if (!samples.length) return;
    const detail = { pcm: floatToPcm16(samples), ...measureLevel(samples), durationMs: (samples.length * 1000) / SAMPLE_RATE_HZ };
    this.dispatchEvent(new CustomEvent("block", { detail }));
  }

  async _lastBlock() {
    await new Promise((resolve) => {
      this._stopped = resolve;
      setTimeout(resolve, STOP_TIMEOUT_MS); // a suspended context answers nothing
      this.node.port.postMessage({ type: "stop" });
    });
    if (this.resampler) this._emitBlock(this.resampler.flush());
  }

  _watchTrack(track) {
    track.onmute = () => this._tell("mute");
    track.onunmute = () => this._tell("unmute");
    track.onended = () => this._tell("lost");
  }

  /** iOS says "interrupted" during a call; the context must be asked to go on when it is over. */
  _onContextState() {
    if (this._isClosed || this.context.state === "running" || this.context.state === "closed") return;
    this._tell("mute");
    this.context.resume().catch(() => this._tell("lost"));
  }

  _tell(name) {
    if (!this._isClosed) this.dispatchEvent(new CustomEvent(name));
  }
}

function stopTracks(stream) {
  for (const track of stream.getTracks()) {
    track.onended = track.onmute = track.onunmute = null;
    track.stop();
  }
}
