/** The API page: what a developer chooses, told to a session; every message of it, and the code of the same call. */

import { Announcer } from "./announcer.js";
import { ApiForm } from "./api-form.js";
import { AudioFile, FileError } from "./audio-file.js";
import { canCapture, Microphone } from "./capture.js";
import { Captions } from "./captions.js";
import { CodeView } from "./code-view.js";
import { formatSeconds, shortenId } from "./format.js";
import { gettext, interpolate } from "./i18n.js";
import { MessageList } from "./message-list.js";
import * as words from "./record-words.js";
import { FileRecording, MicrophoneRecording } from "./recording.js";
import { makeSessionId } from "./session-id.js";
import { Tabs } from "./tabs.js";
import { tapWebSocket } from "./tapped-socket.js";
import { TranscriptionSocket } from "./transcription-socket.js";
import { bytesPerSecond, WireAudio } from "./wire-audio.js";
import { SampleMicrophone, WireFile, WireMicrophone } from "./wire-sources.js";

const STATES = {
  ready: ["", () => gettext("Ready")],
  connecting: ["info", () => gettext("Connecting…")],
  recording: ["record", () => gettext("Streaming")],
  reconnecting: ["warn", () => gettext("Reconnecting…")],
  paused: ["warn", () => gettext("Paused")],
  finishing: ["info", () => gettext("Finishing")],
  done: ["ok", () => gettext("Done")],
  failed: ["danger", () => gettext("Failed")],
};
const BUSY = ["connecting", "recording", "reconnecting", "paused", "finishing"];
const WHOLE_OUTCOMES = ["saved", "cancelled"];

class ApiPage {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector(`[data-${name}]`);
    this.announcer = new Announcer(this.find("status"));
    this.form = new ApiForm(this.find("form"), () => this.code.render());
    this.captions = new Captions({
      log: this.find("log"),
      interim: this.find("interim"),
      scroller: this.find("scroller"),
      jump: this.find("jump"),
      showTimes: true,
    });
    this.messages = new MessageList(this.find, this.announcer);
    this.code = new CodeView(this.find, {
      examples: JSON.parse(document.getElementById("code-examples").textContent),
      values: () => ({ site: location.origin, apiPath: root.dataset.apiPath, config: this.form.config }),
      announcer: this.announcer,
    });
    this.tabs = new Tabs(this.find("tabs"));
    this.recording = null;
  }

  connect() {
    this.form.connect();
    this.tabs.connect();
    this.messages.connect();
    this.code.connect();
    this.find("microphone").addEventListener("click", () => this.startMicrophone());
    this.find("sample").addEventListener("click", () => this.startSample());
    this.find("stop").addEventListener("click", () => this.stop());
    this.find("finalize").addEventListener("click", () => this.recording?.socket.finalize());
    const file = this.find("file");
    file.addEventListener("change", () => {
      if (file.files.length) this.startFile(file.files[0]);
      file.value = "";
    });
    window.addEventListener("beforeunload", (event) => {
      if (BUSY.includes(this.root.dataset.state)) event.preventDefault();
    });
  }

  // Starting and stopping

  startMicrophone() {
    if (!canCapture()) {
      this.showNotice(words.insecureAddress());
      return;
    }
    const microphone = new Microphone({ workletUrl: this.root.dataset.workletUrl });
    this.start((socket, wire) => new MicrophoneRecording(socket, new WireMicrophone(microphone, wire)), words.microphoneError);
  }

  startSample() {
    const sample = new SampleMicrophone(this.root.dataset.sampleUrl);
    this.start((socket, wire) => {
      const recording = new MicrophoneRecording(socket, new WireMicrophone(sample, wire));
      sample.addEventListener("ended", () => recording.stop());
      return recording;
    }, sampleNotice);
  }

  startFile(file) {
    const audioFile = new AudioFile(file);
    const limitMs = Number(this.root.dataset.limitMs);
    this.start(
      (socket, wire) => new FileRecording(socket, new WireFile(audioFile, wire)),
      (error) => words.fileError(error, audioFile.durationMs, limitMs),
      limitMs,
    );
  }

  /** make: the recording of a socket and the conversion of its audio. tellWhy: the notice of what start() raises. */
  async start(make, tellWhy, ...options) {
    this.prepare();
    const { values, config } = this.form;
    this.bytesPerSecond = bytesPerSecond(values);
    const recording = make(this.makeSocket(config), new WireAudio(values));
    this.follow(recording);
    try {
      await recording.start(...options);
    } catch (error) {
      this.recording = null;
      this.become("failed");
      this.showNotice(tellWhy(error));
    }
  }

  stop() {
    if (this.root.dataset.state === "finishing") return;
    if (this.recording.stop) this.recording.stop();
    else this.recording.cancel();
  }

  prepare() {
    this.showNotice(null);
    this.captions.clear();
    this.messages.clear();
    this.find("empty").hidden = true;
    this.find("numbers").hidden = true;
  }

  makeSocket(config) {
    const sessionId = makeSessionId();
    const url = new URL(`${this.root.dataset.socketPath}${sessionId}`, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const link = this.find("session-link");
    link.href = `${this.root.dataset.sessionPath}${sessionId}/`;
    link.textContent = shortenId(sessionId);
    return new TranscriptionSocket(url.href, { config, WebSocketClass: tapWebSocket((message) => this.messages.add(message)) });
  }

  follow(recording) {
    this.recording = recording;
    const on = (name, listener) =>
      recording.addEventListener(name, ({ detail }) => {
        if (this.recording === recording) listener(detail);
      });
    on("state", ({ state }) => this.showState(state));
    on("connection", () => this.showState(recording.state));
    on("transcript", (transcript) => this.captions.show(transcript));
    on("revised", ({ from_segment: fromSegment }) => this.captions.withdraw(fromSegment));
    on("progress", () => {
      if (recording.hasStarted) this.showNumbers(recording.socket);
    });
    on("ended", (ended) => this.showEnd(ended));
    recording.socket.addEventListener("transcription_started", () => this.showNumbers(recording.socket));
    recording.socket.addEventListener("audio_ack", () => this.showNumbers(recording.socket));
    // A refused message is told and the session goes on.
    recording.socket.addEventListener("error", ({ detail }) => this.showError(detail));
  }

  // Showing

  become(state) {
    const [tone, text] = STATES[state];
    const isBusy = BUSY.includes(state);
    const held = document.activeElement;
    this.root.dataset.state = state;
    this.find("state-pill").dataset.tone = tone;
    this.find("state-pill").textContent = text();
    this.announcer.say(text());
    this.find("sources").hidden = isBusy;
    this.find("running").hidden = !isBusy;
    this.find("stop").disabled = this.find("finalize").disabled = state === "finishing";
    this.form.setLocked(isBusy);
    // The button that had the focus is gone.
    if (held && held !== document.activeElement) this.find(isBusy ? "stop" : "microphone").focus();
  }

  showState(state) {
    if (state === "ended") return;
    const isAway = state === "recording" && this.recording.hasStarted && !this.recording.isConnected;
    this.become(isAway ? "reconnecting" : state);
  }

  showNumbers({ sentBytes, safeBytes }) {
    this.find("numbers").hidden = false; // from the start on there is a session to link to
    const seconds = (bytes) => formatSeconds((bytes * 1000) / this.bytesPerSecond);
    this.find("sent").textContent = seconds(sentBytes);
    this.find("safe").textContent = safeBytes === null ? "–" : seconds(safeBytes);
  }

  showEnd({ outcome, error }) {
    this.captions.showInterim("");
    this.find("empty").hidden = !this.captions.isEmpty;
    const isWhole = WHOLE_OUTCOMES.includes(outcome);
    this.become(isWhole ? "done" : "failed");
    if (error) this.showError(error);
    else if (!isWhole) this.showNotice(words.outcomeNotice({ outcome, safeMs: 0, error: null }));
  }

  /** error: the wire's event, in its own words and numbers: developers meet them in their programs too. */
  showError({ code, reason, message, field, retryable, request_id: requestId }) {
    this.form.mark(field);
    const facts = [`${code} ${reason}`, field && `field: ${field}`, `retryable: ${retryable}`, requestId && `request_id: ${requestId}`];
    this.showNotice({ tone: "danger", text: message, help: "", facts: facts.filter(Boolean).join(" · ") });
  }

  showNotice(notice) {
    if (!notice) this.form.mark(null);
    this.find("notice").hidden = !notice;
    this.find("alert").textContent = notice ? [notice.text, notice.help].filter(Boolean).join(" ") : "";
    if (!notice) return;
    this.find("notice").dataset.tone = notice.tone;
    this.find("notice-text").textContent = notice.text;
    for (const name of ["help", "facts"]) {
      this.find(`notice-${name}`).textContent = notice[name] ?? "";
      this.find(`notice-${name}`).hidden = !notice[name];
    }
  }
}

function sampleNotice(error) {
  if (error instanceof FileError) return words.fileError(error, 0, 0);
  return { tone: "danger", text: interpolate(gettext("The sample could not be loaded: %(reason)s"), { reason: error.message }), help: "" };
}

new ApiPage(document.querySelector("[data-api]")).connect();
