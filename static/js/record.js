/** The recording page: what the person does, told to a recording; what becomes of it, told to the person. */

import { Announcer } from "./announcer.js";
import { AudioFile, FileError } from "./audio-file.js";
import { canCapture, Microphone } from "./capture.js";
import { CaptionTools } from "./caption-tools.js";
import { Captions } from "./captions.js";
import { formatBytes, formatDuration, formatWords } from "./format.js";
import { gettext, interpolate } from "./i18n.js";
import { KeepAwake } from "./keep-awake.js";
import { LevelStrip } from "./level-strip.js";
import { NoticeBox } from "./notice-box.js";
import { bytesToMs } from "./pcm.js";
import { RecordSettings } from "./record-settings.js";
import * as words from "./record-words.js";
import { FileRecording, MicrophoneRecording, RecoveredRecording } from "./recording.js";
import { Recovery } from "./recovery.js";
import { recall, remember } from "./storage.js";
import { makeSessionId } from "./session-id.js";
import { Shortcuts } from "./shortcuts.js";
import { TranscriptionSocket } from "./transcription-socket.js";

/** The line about privacy is for the first visit. */
const VISIT_KEY = "recording-visit";
/** Ends after which everything that was said is stored. */
const WHOLE_OUTCOMES = ["saved", "limit", "stopped_by_operator"];
const BUSY = ["connecting", "recording", "paused", "finishing"];
/** Good news need not stay. */
const BACK_SHOWN_MS = 8000;

const isDone = ({ outcome }) => WHOLE_OUTCOMES.includes(outcome);

class RecordPage {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector(`[data-${name}]`);
    this.announcer = new Announcer(this.find("status"));
    this.notice = new NoticeBox(this.find("notice"), this.find("alert"));
    this.captions = new Captions({
      log: this.find("log"),
      interim: this.find("interim"),
      scroller: this.find("scroller"),
      jump: this.find("jump"),
    });
    this.tools = new CaptionTools(this.find, this.captions);
    this.strip = new LevelStrip(this.find("canvas"));
    this.awake = new KeepAwake();
    this.settings = new RecordSettings(this.find("settings"), this.find("log"));
    this.recovery = new Recovery(this.find("recovered"), {
      owner: root.dataset.owner,
      onOffer: (text) => this.announcer.say(text),
      onRecover: (left) => this.recover(left),
    });
    this.recording = null;
    this.pageTitle = document.title;
    this.limitMs = Number(root.dataset.limitMs);
    this.lostAtStart = null; // what starting failed with, to be forgotten when a microphone appears
  }

  connect() {
    this.find("record-button").addEventListener("click", () => this.toggle());
    this.find("pause").addEventListener("click", () => this.togglePause());
    this.find("new").addEventListener("click", () => this.reset());
    this.find("cancel").addEventListener("click", () => this.recording?.cancel());
    this.notice.on({
      retry: () => this.retry(),
      new: () => this.reset(),
      keep: () => this.notice.hide("connection"),
      stop: () => this.recording?.stop?.(),
    });
    this.tools.connect();
    this.connectFile();
    this.connectPage();
    this.settings.connect();
    this.find("privacy").hidden = recall(VISIT_KEY, {}).hasRecorded === true;
    this.settings.fillMicrophones();
    this.showIdle();
    this.recovery.connect();
  }

  connectFile() {
    const drop = this.find("drop");
    const input = this.find("file");
    input.addEventListener("change", () => {
      if (input.files.length) this.startFile(input.files[0]);
      input.value = "";
    });
    const over = (isOver) => drop.classList.toggle("is-over", isOver);
    // The whole window takes the file: a file dropped beside the box would otherwise replace the page.
    window.addEventListener("dragover", (event) => {
      event.preventDefault();
      over(!this.isBusy);
    });
    window.addEventListener("dragleave", () => over(false));
    window.addEventListener("drop", (event) => {
      event.preventDefault();
      over(false);
      const file = event.dataTransfer?.files[0];
      if (file && !this.isBusy) this.startFile(file);
    });
  }

  connectPage() {
    window.addEventListener("beforeunload", (event) => {
      if (this.isBusy) event.preventDefault();
    });
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.onDeviceChange());
    new Shortcuts({
      r: () => this.toggle(),
      p: () => this.togglePause(),
      f: () => this.tools.toggleFullScreen(),
      c: () => this.tools.copy(),
      "+": () => this.tools.resize(1),
      "-": () => this.tools.resize(-1),
      t: () => document.dispatchEvent(new Event("speech:theme")),
    }).connect();
  }

  get isBusy() {
    return BUSY.includes(this.root.dataset.state);
  }

  // Starting and stopping

  toggle() {
    if (["recording", "paused", "connecting"].includes(this.root.dataset.state)) this.recording?.stop?.();
    else if (!this.isBusy) this.startMicrophone();
  }

  togglePause() {
    const state = this.root.dataset.state;
    if (state === "recording") this.recording.pause?.();
    else if (state === "paused") this.recording.resume?.();
  }

  retry() {
    if (this.lastFile) this.startFile(this.lastFile);
    else this.startMicrophone();
  }

  async startMicrophone() {
    if (!canCapture()) {
      this.notice.show(words.insecureAddress());
      return;
    }
    this.prepare("microphone");
    this.notice.show(words.askingPermission(), { quietly: true });
    await this.settings.ready();
    const { deviceId, noiseSuppression } = this.settings.values;
    const microphone = new Microphone({ workletUrl: this.root.dataset.workletUrl, deviceId, noiseSuppression });
    const { title } = this.settings;
    const config = this.settings.config(title);
    const socket = this.makeSocket(makeSessionId(), { config });
    const journal = this.recovery.begin(socket, { sessionId: this.sessionId, config, title });
    const recording = this.follow(new MicrophoneRecording(socket, microphone, journal), title);
    try {
      await recording.start();
      this.notice.hide();
      this.settings.fillMicrophones();
    } catch (error) {
      this.failToStart(words.microphoneError(error), error);
    }
  }

  async startFile(file) {
    this.prepare("file");
    this.lastFile = file;
    this.find("file-name").textContent = file.name;
    this.find("file-size").textContent = formatBytes(file.size);
    this.find("progress-text").textContent = gettext("Reading the file…");
    this.find("progress").removeAttribute("value");
    this.find("file-progress").hidden = false;
    await this.settings.ready();
    const audioFile = new AudioFile(file);
    const title = this.settings.title || file.name.slice(0, 200);
    const socket = this.makeSocket(makeSessionId(), { config: this.settings.config(title) });
    const recording = this.follow(new FileRecording(socket, audioFile), title);
    try {
      await recording.start(this.limitMs);
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      this.lastFile = null;
      this.failToStart(words.fileError(error, audioFile.durationMs, this.limitMs), error);
    }
  }

  /** Send what an earlier visit left behind and finish its session, or one of its own where that is over. */
  recover(left) {
    const { recording, held } = left;
    const resume = { token: recording.resumeToken, heldFrom: held.startBytes - recording.basisBytes, pieces: held.pieces };
    if (!recording.resumeToken) {
      this.resend(left);
      return;
    }
    this.prepare("recovered");
    const socket = this.makeSocket(recording.sessionId, { resume });
    this.recovery.continue(socket, left);
    this.left = left;
    this.follow(new RecoveredRecording(socket), recording.title).start();
  }

  resend(left) {
    const { recording, held } = left;
    this.prepare("recovered");
    const socket = this.makeSocket(makeSessionId(), { config: recording.config });
    this.recovery.continue(socket, left).moveTo(this.sessionId, held.startBytes);
    this.leftMs = bytesToMs(held.endBytes - held.startBytes);
    this.resent = recording.hasStarted ? recording : null;
    this.follow(new RecoveredRecording(socket, held.pieces), recording.title).start();
  }

  prepare(source) {
    remember(VISIT_KEY, { hasRecorded: true });
    this.lastFile = null;
    this.lostAtStart = null;
    this.left = this.resent = null;
    this.root.dataset.source = source;
    this.find("saved").hidden = true;
    this.find("file-progress").hidden = true;
    this.find("empty").hidden = true;
    this.notice.hide();
    this.captions.clear();
    this.strip.clear();
    this.showWords();
    this.showTimer(0);
  }

  /** options: the config of a new session, or how to resume one. */
  makeSocket(sessionId, options) {
    this.sessionId = sessionId;
    const path = `${this.root.dataset.socketPath}${sessionId}`;
    const url = new URL(path, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    return new TranscriptionSocket(url.href, options);
  }

  follow(recording, title) {
    this.recording = recording;
    this.title = title;
    const on = (name, listener) =>
      recording.addEventListener(name, ({ detail }) => {
        if (this.recording === recording) listener(detail);
      });
    on("state", ({ state }) => this.showState(state));
    on("connection", () => this.showState(recording.state));
    on("transcript", (detail) => this.showTranscript(detail));
    on("revised", ({ from_segment: fromSegment }) => this.withdraw(fromSegment));
    on("level", (detail) => this.showLevel(detail));
    on("progress", () => this.showProgress());
    on("notice", (detail) => this.showNotice(detail));
    on("ended", (detail) => this.showEnd(detail));
    return recording;
  }

  failToStart(notice, error) {
    this.lostAtStart = error.name;
    this.recording = null;
    this.recovery.finish(true);
    this.find("file-progress").hidden = true;
    this.showIdle();
    this.notice.show(notice);
  }

  reset() {
    this.recording = null;
    this.lastFile = null;
    this.captions.clear();
    this.strip.clear();
    this.notice.hide();
    this.find("saved").hidden = true;
    this.find("file-progress").hidden = true;
    this.settings.clearTitle();
    this.showIdle();
    this.find("record-button").focus();
  }

  async onDeviceChange() {
    const microphones = await this.settings.fillMicrophones();
    if (this.lostAtStart === "NotFoundError" && microphones.length && !this.isBusy) {
      this.lostAtStart = null;
      this.notice.hide();
      this.announcer.say(gettext("A microphone was found."));
    }
  }

  // Showing

  showIdle() {
    this.root.dataset.source = "microphone";
    this.showState("ready");
    this.find("empty").hidden = false;
    this.showTimer(0);
    this.showWords();
    if (!canCapture()) this.notice.show(words.insecureAddress(), { quietly: true });
  }

  showState(state) {
    this.root.dataset.state = state;
    this.recovery.setAway(this.isBusy);
    const [tone, text] = this.stateWords(state);
    this.showPill([tone, text]);
    if (state !== "ready" && state !== "ended") this.announcer.say(text);
    this.showControls(state);
    this.showConnection(state);
    this.showTranscribing();
    if (["connecting", "recording", "paused", "finishing"].includes(state)) this.awake.start();
    else this.awake.stop();
    this.settings.setLocked(this.isBusy);
    this.showTabTitle();
  }

  /** A file is not recorded, and most of it is recognised after it was sent. */
  get isTranscribingFile() {
    return this.root.dataset.source === "file" && ["recording", "finishing"].includes(this.root.dataset.state);
  }

  stateWords(state) {
    if (this.isWithoutConnection) return ["warn", gettext("Reconnecting")];
    if (this.isTranscribingFile) return ["info", gettext("Transcribing…")];
    return STATES[state]();
  }

  /** The session is started, but its connection is lost and not yet made again. */
  get isWithoutConnection() {
    const { hasStarted = false, isConnected = true } = this.recording ?? {};
    return this.isBusy && hasStarted && !isConnected;
  }

  showPill([tone, text]) {
    const pill = this.find("state-pill");
    pill.dataset.tone = tone;
    pill.textContent = text;
  }

  showControls(state) {
    const button = this.find("record-button");
    const isRunning = ["connecting", "recording", "paused"].includes(state);
    button.setAttribute("aria-label", isRunning ? gettext("Stop") : gettext("Record"));
    // Not `disabled`: that would take the focus from the button in the middle of a recording.
    button.setAttribute("aria-disabled", String(state === "finishing" || (state === "ready" && !canCapture())));
    const pause = this.find("pause");
    pause.disabled = !["recording", "paused"].includes(state);
    pause.setAttribute("aria-pressed", String(state === "paused"));
    this.find("pause-label").textContent = state === "paused" ? gettext("Continue") : gettext("Pause");
  }

  showConnection(state) {
    const pill = this.find("connection-pill");
    pill.hidden = !["recording", "paused", "finishing"].includes(state);
    pill.dataset.tone = this.isWithoutConnection ? "warn" : "ok";
    pill.textContent = this.isWithoutConnection
      ? gettext("Only on this device until you reconnect")
      : gettext("Connected · saving to the server");
  }

  /** The first words take a while. */
  showTranscribing() {
    this.find("transcribing").hidden = !(this.isTranscribingFile && this.captions.isEmpty);
  }

  showTranscript(transcript) {
    this.captions.show(transcript);
    this.showTranscribing();
    if (transcript.is_final) this.showWords();
  }

  withdraw(fromSegment) {
    this.captions.withdraw(fromSegment);
    this.showTranscribing();
    this.showWords();
  }

  showWords() {
    const count = this.captions.words;
    this.find("words").textContent = count ? formatWords(count) : "";
    this.find("copy").disabled = !count;
  }

  showLevel({ peak, word }) {
    this.strip.push(peak);
    this.setText("level-text", words.levelText(word));
    this.showTimer(this.recording.capturedMs);
  }

  showTimer(ms) {
    this.setText("timer", formatDuration(ms));
    this.setText("limit", interpolate(gettext("limit %(limit)s"), { limit: formatDuration(this.limitMs) }));
    this.showTabTitle();
  }

  showTabTitle() {
    const state = this.root.dataset.state;
    const isOn = state === "recording" || state === "paused";
    const title = isOn ? `${state === "paused" ? "⏸" : "🔴"} ${this.find("timer").textContent}` : this.pageTitle;
    if (document.title !== title) document.title = title;
  }

  showProgress() {
    if (this.root.dataset.source !== "file" || !this.recording) return;
    const { sentMs, safeMs, audioFile } = this.recording;
    const total = audioFile.durationMs;
    this.find("progress").value = total ? (100 * safeMs) / total : 0;
    const text = gettext("%(done)s of %(total)s transcribed · %(sent)s sent");
    const values = { done: formatDuration(safeMs), total: formatDuration(total), sent: formatDuration(sentMs) };
    this.setText("progress-text", interpolate(text, values));
  }

  showNotice(detail) {
    const { name } = detail;
    const notice = NOTICES[name]?.(detail, this.recording);
    if (notice) this.notice.show(notice, { about: name });
    else this.notice.hide(name);
    clearTimeout(this.backTimer);
    if (detail.phase === "back") this.backTimer = setTimeout(() => this.notice.hide(name), BACK_SHOWN_MS);
  }

  showEnd(ended) {
    clearTimeout(this.backTimer);
    if (this.left?.held.pieces.length && ended.outcome === "too_late") {
      this.resend(this.left);
      return;
    }
    this.finishJournal(ended);
    const notice = this.endNotice(ended);
    this.showPill(isDone(ended) ? ["ok", gettext("Saved")] : STATES.ended());
    this.find("file-progress").hidden = true;
    this.captions.showInterim("");
    this.showTimer(ended.capturedMs);
    const isSaved = this.hasTranscript(ended);
    // The card of what was saved has its own button for a new recording.
    if (notice) this.notice.show({ ...notice, actions: notice.actions.filter((name) => name !== "new" || !isSaved) });
    else this.notice.hide();
    if (isSaved) this.showSaved(ended);
    else if (!this.captions.words) this.find("empty").hidden = false;
  }

  endNotice(ended) {
    if (this.resent && ended.outcome === "saved") return words.resentNotice(this.resent.startedAt, this.leftMs);
    const isLeft = this.root.dataset.source === "recovered" && !isDone(ended);
    return isLeft ? words.notRecoveredNotice(ended) : words.outcomeNotice(ended);
  }

  /** What is not on the server stays in this browser, to be recovered; but nothing of a session that never began. */
  finishJournal(ended) {
    const wasRecovering = this.root.dataset.source === "recovered";
    const isNothingLeft = !ended.hasStarted || ended.capturedMs <= ended.safeMs;
    this.recovery.finish(isDone(ended) || (wasRecovering ? ended.outcome === "too_late" : isNothingLeft));
  }

  /** Whether there is anything on the server worth a link. */
  hasTranscript({ outcome, safeMs, hasStarted }) {
    if (WHOLE_OUTCOMES.includes(outcome)) return true;
    return hasStarted && (safeMs > 0 || this.captions.words > 0);
  }

  showSaved({ outcome, safeMs, stopped }) {
    const path = `${this.root.dataset.sessionPath}${this.sessionId}/`;
    const isWhole = WHOLE_OUTCOMES.includes(outcome);
    const { title } = this;
    const state = isWhole ? gettext("Saved") : gettext("Saved so far");
    this.setText("saved-title", title ? `${state}: ${title}` : state);
    const length = formatDuration(stopped?.audio_ms ?? safeMs);
    this.setText("saved-facts", `${length} · ${formatWords(this.captions.words)}`);
    this.find("open").href = path;
    this.find("download").href = `${path}export.txt`;
    this.find("copy-saved").disabled = !this.captions.words;
    this.find("saved").hidden = false;
    this.announcer.say(`${state}. ${this.find("saved-facts").textContent}`);
    this.settings.clearTitle();
  }

  setText(name, text) {
    const element = this.find(name);
    if (element.textContent !== text) element.textContent = text;
  }
}

const STATES = {
  ready: () => ["", gettext("Ready")],
  connecting: () => ["info", gettext("Connecting…")],
  recording: () => ["record", gettext("Recording")],
  paused: () => ["warn", gettext("Paused")],
  finishing: () => ["info", gettext("Finishing the last words…")],
  ended: () => ["", gettext("Ended")],
};

const NOTICES = {
  level: ({ word }) => words.levelNotice(word),
  recogniser: (detail) => words.recogniserNotice(detail),
  expiring: (detail) => words.expiringNotice(detail),
  network: ({ isSlow }) => (isSlow ? words.slowNetworkNotice() : null),
  connection: (detail) => words.connectionNotice(detail),
  buffer_full: (detail, recording) => words.bufferFullNotice(detail, recording),
  microphone_lost: (_, recording) => words.microphoneLostNotice(recording.capturedMs),
};

new RecordPage(document.querySelector("[data-record]")).connect();
