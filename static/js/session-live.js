/** The page of one session while it is live. */

import { Captions } from "./captions.js";
import { formatDuration } from "./format.js";
import { gettext } from "./i18n.js";
import { LiveSocket } from "./live-socket.js";
import { connectionWords, formatMeasured, isSlowBacklog, isSlowLatency, SoundWatch, stateOf, stateWords } from "./live-words.js";
import { connectCopyId } from "./session-copy.js";
import { StopDialog } from "./stop-dialog.js";

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
    this.row = null;
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
    this.socket = new LiveSocket(() => `${root.dataset.socketPath}?after=${this.lastIndex}`);
  }

  connect() {
    connectCopyId(this.root);
    this.captions?.follow();
    this.connectStop();
    if (!("mayRead" in this.root.dataset)) return;
    this.socket.addEventListener("message", ({ detail }) => this.onMessage(detail));
    this.socket.addEventListener("status", ({ detail }) => this.showConnection(detail));
    this.socket.open();
    setInterval(() => this.tick(), 1000);
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

  onMessage(message) {
    for (const final of message.finals ?? []) this.addFinal(final);
    if (message.row) this.update(message.row);
    this.watchAbsence(message.row);
    if (message.event === "ended" || message.ended) this.onEnded();
  }

  addFinal(final) {
    if (final.segment <= this.lastIndex) return;
    this.lastIndex = final.segment;
    this.captions.addFinal(final);
  }

  update(row) {
    this.row = row;
    this.watchWaiting(row);
    this.captions.showInterim(row.interim ?? "", row.language);
    this.showState(stateOf(row));
    this.showNow(row);
    this.tick();
  }

  /** Nobody holds this session: it ended while this page was loading, or its process died and the end is yet to be told. */
  watchAbsence(row) {
    clearTimeout(this.absence);
    if (!row) this.absence = setTimeout(() => location.reload(), ABSENT_RELOAD_MS);
  }

  /** The client left or came back: other words may count, or none of the last, than this page was made with. */
  watchWaiting(row) {
    if (this.isWaiting === (row.state === "detached")) {
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
    if (!this.row) return;
    const elapsed = formatDuration(Date.now() - Date.parse(this.row.started_at));
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

  showNow(row) {
    const isSilent = this.sound.isSilent(row.level ?? 0);
    this.find("level").value = Math.sqrt(row.level ?? 0);
    this.find("level-text").textContent = isSilent ? gettext("no sound") : "";
    this.showMeasured("latency", row.latency_ms, isSlowLatency);
    this.showMeasured("backlog", row.backlog_ms, isSlowBacklog);
    this.find("audio").textContent = formatDuration(row.audio_ms ?? 0);
    this.find("segments").textContent = String(row.segments ?? 0);
  }

  showMeasured(name, ms, isSlow) {
    const element = this.find(name);
    element.textContent = formatMeasured(ms);
    element.classList.toggle("is-slow", isSlow(ms));
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
