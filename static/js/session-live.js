/** The page of one session while it is live. */

import { Captions } from "./captions.js";
import { formatDuration } from "./format.js";
import { gettext } from "./i18n.js";
import { LiveSocket } from "./live-socket.js";
import { connectionWords, formatMeasured, LIMITS, SoundWatch, stateOf, stateWords } from "./live-words.js";
import { ListenIn } from "./listen-in.js";
import { SessionCharts } from "./session-charts.js";
import { connectCopyId } from "./session-copy.js";
import { SessionNotes } from "./session-notes.js";
import { Shortcuts } from "./shortcuts.js";
import { StopDialog } from "./stop-dialog.js";
import { Timeline } from "./timeline.js";

/** The database has the end a moment before pages are told; a reload at once might still find the session live. */
const RELOAD_AFTER_MS = 400;
const ABSENT_RELOAD_MS = 8000;
/** A process that has just died or been cut off may still be believed for a moment. */
const CHANGED_RELOAD_MS = 1000;

class LiveSession {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector(`[data-${name}]`);
    this.lastIndex = Number(root.dataset.after);
    this.isWaiting = this.find("waiting") !== null;
    this.sound = new SoundWatch();
    this.startedAt = null;
    this.language = "";
    this.status = null;
    this.backlogMs = null;
    this.audioMs = 0;
    this.timeline = new Timeline(this.find("timeline-entries"), root.dataset.timelineUrl);
    this.charts = null;
    this.notes = null;
    this.changed = null;
    this.pageTitle = document.title;
    this.captions = this.find("log") && new Captions({
      log: this.find("log"),
      interim: this.find("interim"),
      scroller: this.find("scroller"),
      jump: this.find("jump"),
      showTimes: true,
    });
    // After a lost connection only what is missing is asked for.
    this.socket = new LiveSocket(() => `${root.dataset.socketPath}?after=${this.lastIndex}&progress=true`);
  }

  connect() {
    connectCopyId(this.root);
    this.captions?.follow();
    this.connectStop();
    this.connectKeys();
    this.timeline.connect();
    if (!("mayRead" in this.root.dataset)) return;
    this.socket.addEventListener("message", ({ detail }) => this.onMessage(detail));
    this.socket.addEventListener("status", ({ detail }) => this.showConnection(detail));
    this.socket.open();
    this.charts = new SessionCharts({ level: this.find('chart="level"'), backlog: this.find('chart="backlog"') });
    this.notes = new SessionNotes(this.find("notes"), { audioMs: () => this.audioMs, announce: (text) => this.announce(text) });
    this.notes.connect();
    this.find("bookmark").addEventListener("click", () => this.notes.bookmark());
    const listen = this.find("listen");
    if (listen) new ListenIn(listen, { url: listen.dataset.listen, announce: (text) => this.announce(text) }).connect();
    setInterval(() => this.tick(), 1000);
    setInterval(() => this.charts.tick(), 1000);
  }

  connectKeys() {
    const { liveUrl, sessionsUrl, recordUrl } = this.root.dataset;
    new Shortcuts({
      "?": () => this.find("help").showModal(),
      m: () => this.notes?.bookmark(),
      x: () => this.find("stop-open")?.click(),
      t: () => document.dispatchEvent(new Event("speech:theme")),
      "g l": () => location.assign(liveUrl),
      "g s": () => location.assign(sessionsUrl),
      "g r": () => location.assign(recordUrl),
    }).connect();
  }

  announce(text) {
    this.find("status").textContent = text;
  }

  connectStop() {
    const dialog = this.find("stop-dialog");
    if (!dialog) return;
    const stopDialog = new StopDialog(dialog, () => {
      this.find("stop-open").disabled = true;
      this.showState("stopping");
    });
    stopDialog.connect();
    this.find("stop-open").addEventListener("click", () => {
      const name = this.root.querySelector("h1").textContent;
      stopDialog.open({ sessionId: this.root.dataset.publicId, name, url: dialog.querySelector("form").action });
    });
  }

  /** The messages are those of docs/events-api.md. */
  onMessage(message) {
    switch (message.event) {
      case "snapshot":
        this.startedAt = message.session.started_at;
        this.language = message.session.language;
        for (const segment of message.segments) this.addSegment(segment);
        this.showInterim(message.interim);
        if (message.progress) this.showProgress(message.progress);
        this.showStatus(message);
        break;
      case "segment":
        this.addSegment(message);
        break;
      case "interim":
        this.showInterim(message);
        break;
      case "revised":
        this.captions.withdraw(message.from_segment);
        this.lastIndex = Math.min(this.lastIndex, message.from_segment - 1);
        break;
      case "status":
        this.showStatus(message);
        break;
      case "progress":
        this.showProgress(message);
        break;
      case "ended":
        this.onEnded();
        break;
    }
  }

  addSegment(segment) {
    if (segment.segment <= this.lastIndex) return;
    this.lastIndex = segment.segment;
    this.captions.addFinal(segment);
    this.find("segments").textContent = String(segment.segment + 1);
  }

  showInterim(interim) {
    this.captions.showInterim(interim?.text ?? "", this.language);
  }

  showStatus({ state, activity }) {
    this.status = state === "live" ? (activity ?? "live") : state;
    this.watchAbsence(state, activity);
    this.watchWaiting(state);
    this.showState(this.stateNow());
    this.tick();
    this.timeline.refresh();
  }

  /** Nobody holds this session: it ended while this page was loading, or its process died and the end is yet to be told. */
  watchAbsence(state, activity) {
    clearTimeout(this.absence);
    if (state === "live" && !activity) this.absence = setTimeout(() => location.reload(), ABSENT_RELOAD_MS);
  }

  /** The client left or came back: other words may count, or none of the last, than this page was made with. */
  watchWaiting(state) {
    if (this.isWaiting === (state === "detached")) {
      clearTimeout(this.changed);
      this.changed = null;
    } else {
      this.changed ??= setTimeout(() => location.reload(), CHANGED_RELOAD_MS);
    }
  }

  onEnded() {
    this.socket.close();
    this.showState("finishing");
    setTimeout(() => location.reload(), RELOAD_AFTER_MS);
  }

  tick() {
    if (!this.startedAt) return;
    const elapsed = formatDuration(Date.now() - Date.parse(this.startedAt));
    this.find("time").textContent = elapsed;
    document.title = `● ${elapsed} ${this.pageTitle}`;
  }

  showState(state) {
    const { tone, text } = stateWords(state);
    const pill = this.find("state-pill");
    if (pill.textContent !== text) this.find("status").textContent = text;
    pill.dataset.tone = tone;
    pill.textContent = text;
  }

  stateNow() {
    return stateOf({ state: this.status, backlog_ms: this.backlogMs });
  }

  showProgress({ audio_ms: audioMs, level, backlog_ms: backlogMs, latency_ms: latencyMs }) {
    const isSilent = this.sound.isSilent(level ?? 0);
    this.backlogMs = backlogMs;
    this.audioMs = audioMs;
    this.charts?.take(level, backlogMs);
    this.find("level").value = Math.sqrt(level ?? 0);
    this.find("level-text").textContent = isSilent ? gettext("no sound") : "";
    this.showMeasured("latency", latencyMs, LIMITS.slowLatencyMs);
    this.showMeasured("backlog", backlogMs, LIMITS.slowBacklogMs);
    this.find("audio").textContent = formatDuration(audioMs);
    if (this.status) this.showState(this.stateNow());
  }

  showMeasured(name, ms, limitMs) {
    const element = this.find(name);
    element.textContent = formatMeasured(ms);
    element.classList.toggle("is-slow", ms > limitMs);
  }

  showConnection(status) {
    const pill = this.find("connection");
    const { tone, text } = connectionWords(status);
    pill.hidden = status.status === "connected";
    pill.dataset.tone = tone;
    pill.textContent = text;
  }
}

new LiveSession(document.querySelector("[data-session]")).connect();
