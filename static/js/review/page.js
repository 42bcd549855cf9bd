/** The review page: what is read, changed, heard and looked for, put together. */

import { Announcer } from "../announcer.js";
import { formatDuration } from "../format.js";
import { gettext, interpolate, pageLanguage } from "../i18n.js";
import { areShortcutsOn, isTyping } from "../shortcuts.js";
import { Changing } from "./changing.js";
import { Unreachable } from "./change-queue.js";
import { AskDialog, ConflictDialog, NoteDialog, SpeakerDialog } from "./dialogs.js";
import { HistoryDrawer } from "./history-drawer.js";
import { chordOf, KeyBindings } from "./key-bindings.js";
import { KeyHelp } from "./key-help.js";
import { PlayerBar } from "./player-bar.js";
import { Reading } from "./reading.js";
import { ReviewApi } from "./review-api.js";
import { Side } from "./side.js";
import { STEP_MS } from "./player.js";
import { TranscriptList } from "./transcript-list.js";
import { Transcript } from "./transcript.js";

/** How soon others see what somebody does; a page that nobody looks at does not ask. */
const NEWS_EVERY_MS = 5_000;

export class ReviewPage {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector(`[data-${name}]`);
    const marks = JSON.parse(document.getElementById("review-marks").textContent);
    this.gaps = marks.gaps.map(([startMs, endMs]) => ({ startMs, endMs }));
    this.mayChange = "mayChange" in root.dataset;
    this.isLoaded = false;
    this.isReviewed = false;
    this.whyReadOnly = null;
    this.transcript = new Transcript({ cutOff: new Set(marks.cut_off), languages: new Map(marks.languages) });
    this.api = new ReviewApi(root.dataset.reviewUrl, document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "");
    this.announcer = new Announcer(this.find("status"));
    this.bindings = new KeyBindings();
    this.bar = this.find("player")
      ? new PlayerBar(this.find("player"), {
          durationMs: Number(root.dataset.durationMs),
          pauseTyping: this.find("pause-typing"),
          onPosition: (ms, isPlaying) => this.reading?.follow(ms, isPlaying),
        })
      : null;
    this.list = new TranscriptList(this.find("transcript"), this.find("row-template"), this._listOptions(), {
      play: (id) => this.reading.hearPassage(id),
      word: (id, number) => this.reading.hearWord(id, number),
      edit: (id) => this.changing.edit(id),
      twice: (id) => {
        this.reading.unhearWord();
        this.changing.edit(id);
      },
      speaker: (id) => this.changing.askSpeaker(id),
      history: (id) => this._openHistory(id),
    });
    const page = { root, api: this.api, transcript: this.transcript, list: this.list, bar: this.bar, announcer: this.announcer };
    const dialogs = {
      conflict: new ConflictDialog(this.find("conflict")),
      speaker: new SpeakerDialog(this.find("speaker-dialog")),
      note: new NoteDialog(this.find("note")),
      ask: new AskDialog(this.find("ask")),
    };
    this.dialogs = dialogs;
    this.changing = new Changing(
      { ...page, dialogs, storeKey: `review:${root.dataset.owner}:${root.dataset.publicId}` },
      { onState: (state) => this._showState(state), onChange: () => this.side.refreshSoon(), refresh: () => this.refresh(), readAgain: () => this._readAgain() },
    );
    this.reading = new Reading(page, {
      mayReplace: () => this.mayEdit,
      replaceOne: (...args) => this.changing.replaceOne(...args),
      replaceAll: (...args) => this.changing.replaceAll(...args),
    });
    this.side = new Side(
      { ...page, dialogs, mayEdit: () => this.mayEdit, position: () => this.reading.positionMs },
      { seek: (ms) => this._seek(ms), speaker: (id) => this.changing.askSpeaker(id, { everywhere: true }), say: (message, tone) => this._say(message, tone) },
    );
    this.history = new HistoryDrawer(this.find("history"), this.api, {
      on: { restore: (number) => this.changing.restore(number), restoreText: (id, text) => this.changing.restoreText(id, text) },
      mayEdit: () => this.mayEdit,
      timeOf: (id) => this.transcript.get(id)?.startMs ?? null,
      title: gettext("History"),
    });
  }

  async connect() {
    this.list.connect();
    this.bar?.connect();
    this.bar?.loadPeaks(() => this.api.peaks(), this.gaps);
    this.history.connect();
    new KeyHelp(this.find("help"), this.find("help-open"), this.bindings).connect();
    this.find("history-open")?.addEventListener("click", () => this._openHistory(null));
    this.find("mark-reviewed")?.addEventListener("click", () => this.setReviewed(true));
    this.find("reopen")?.addEventListener("click", () => this.setReviewed(false));
    document.addEventListener("keydown", (event) => this._onKey(event));
    if (!(await this._load())) return;
    this.side.connect();
    if (this.mayChange) this.changing.connect();
    this._openLink();
    window.addEventListener("hashchange", () => this._openLink());
    setInterval(() => this.refresh(), NEWS_EVERY_MS);
    document.addEventListener("visibilitychange", () => this.refresh());
  }

  get mayEdit() {
    return this.mayChange && this.isLoaded && this.whyReadOnly === null;
  }

  /** What others changed, and who edits what. */
  async refresh() {
    if (document.visibilityState !== "visible") return;
    try {
      const news = await this.api.news(this.transcript.version);
      if (!news.is_all) await this._readAgain();
      else if (news.version !== this.transcript.version) {
        this.transcript.apply(news, { isNews: true });
        this.side.refreshSoon();
      }
      this.transcript.setLocks(locksOfOthers(news.locks));
      this._showFacts(news);
    } catch {
      // The next time; changes of one's own have their queue.
    }
  }

  async setReviewed(isReviewed) {
    if (this.changing.editor.isOpen) this.changing.save(this.changing.editor.id, this.changing.editor.text, false);
    if (!(await this.changing.queue.idle())) return void this._say(gettext("Not while changes are waiting. They are sent first."), "warn");
    try {
      this.transcript.apply(await (isReviewed ? this.api.markReviewed(this.transcript.version) : this.api.reopen()));
      this.announcer.say(isReviewed ? gettext("Marked reviewed. Nobody can change it until it is reopened.") : gettext("Reopened"));
    } catch (error) {
      const words = error instanceof Unreachable ? gettext("The server cannot be reached. Nothing was changed; try again in a moment.") : error.message;
      this._say(words, "warn");
    }
    await this.refresh();
    this.find(isReviewed ? "reopen" : "mark-reviewed")?.focus();
  }

  async _load() {
    try {
      let first = null;
      for await (const part of this.api.parts()) {
        this.transcript.add(part.segments);
        this.transcript.setLocks(locksOfOthers(part.locks));
        if (first === null) this._begin(part);
        first ??= part;
      }
      this.isLoaded = true;
      this._showFacts(first);
      this._showState({ state: "", message: "" });
      return true;
    } catch (error) {
      this._say(interpolate(gettext("The transcript cannot be edited right now: %(message)s Reload the page to try again."), { message: error.message }), "warn");
      this.find("tools").hidden = false;
      return false;
    }
  }

  /** The first part is there to be read and heard; it is edited when all of it is. */
  _begin(part) {
    this.transcript.version = part.version;
    this._showFacts(part);
    this.root.classList.add("has-review");
    this.find("transcript").classList.add("is-review");
    this.root.querySelector(".parts")?.remove();
    this.list.show(this.transcript.passages);
    this.transcript.addEventListener("changed", ({ detail }) => this.list.sync(this.transcript.passages, detail.ids));
    this.find("tools").hidden = false;
    this.reading.connect();
    if (part.next !== null) this._showState({ state: "", message: gettext("Loading…") });
  }

  /** Everything once more, where too much changed to be told. */
  async _readAgain() {
    const segments = [];
    let first = null;
    for await (const part of this.api.parts()) {
      first ??= part;
      segments.push(...part.segments);
    }
    this.transcript.reset(segments, first.version);
    this.changing.showWaiting();
    this._showFacts(first);
  }

  /** `#segment-12` is that segment, `?t=83.2` that second of the audio. */
  _openLink() {
    const seconds = Number(new URLSearchParams(location.search).get("t") ?? NaN);
    const match = /^#segment-(\d+)$/.exec(location.hash);
    const passage = match ? this.transcript.at(Number(match[1])) : null;
    if (Number.isFinite(seconds) && !this._hasOpenedTime) {
      this._hasOpenedTime = true;
      this._seek(seconds * 1000);
    } else if (passage) {
      this.bar?.player.seek(passage.startMs);
      this.list.focus(passage.id);
      this.list.setCurrent(passage.id);
    }
  }

  _seek(ms) {
    const { wordIndex } = this.transcript;
    const segment = wordIndex.segmentAt(ms) ?? wordIndex.segments[0];
    if (!segment) return;
    this.bar?.player.seek(ms);
    this.list.focus(segment.key);
    const word = wordIndex.wordAt(ms);
    this.list.setCurrent(segment.key, word?.key === segment.key ? word.word : null);
  }

  _listOptions() {
    return { language: this.root.dataset.language, view: "edited", threshold: null, mayEdit: false };
  }

  _showFacts({ why_read_only: why, reviewed_at: at, reviewed_by: by }) {
    this.whyReadOnly = why;
    this.isReviewed = at !== null;
    this.changing.mayEdit = this.mayEdit;
    if (this.mayEdit !== this.list.options.mayEdit) {
      this.list.change({ mayEdit: this.mayEdit });
      this.side.showSpeakers();
      this.changing.showUndo();
      if (this.reading.findBar.isOpen) this.reading.findBar.search({ stays: true });
    }
    for (const [name, isShown] of [["mark-reviewed", !this.isReviewed && this.mayEdit], ["reopen", this.isReviewed]]) {
      if (this.find(name)) this.find(name).hidden = !isShown;
    }
    const line = this.find("reviewed-line");
    line.hidden = !this.isReviewed;
    const values = { name: by, time: at ? new Date(at).toLocaleString(pageLanguage(), { dateStyle: "medium", timeStyle: "short" }) : "" };
    if (this.isReviewed) line.textContent = interpolate(gettext("Reviewed by %(name)s, %(time)s"), values);
    this.find("read-only").hidden = !this.isLoaded || this.mayEdit;
  }

  _showState({ state, message }) {
    const element = this.find("save-state");
    element.textContent = message;
    element.dataset.tone = { offline: "warn", conflict: "warn", warn: "warn", danger: "danger" }[state] ?? "";
  }

  _say(message, tone = "") {
    this._showState({ state: tone, message });
    this.announcer.say(message);
  }

  _openHistory(id) {
    const passage = id === null ? null : this.transcript.get(id);
    this.history.open(passage && { id, time: formatDuration(passage.startMs) });
  }

  _onKey(event) {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    const { editor } = this.changing;
    const isEditing = editor.isOpen && event.target === editor.field;
    const chord = chordOf(event);
    const action = this.bindings.actionFor(chord, { isEditing, isTyping: isTyping(event.target), areSingleKeysOn: areShortcutsOn() });
    if (!action || isOfItsOwn(event.target, chord) || this._act(action) === false) return;
    event.preventDefault();
  }

  /** Returns false where there is nothing of it here, and the key stays the browser's. */
  _act(action) {
    const { bar, changing, reading, list } = this;
    const heard = {
      play: () => bar.player.toggle(),
      back: () => bar.player.skip(-STEP_MS),
      forward: () => bar.player.skip(STEP_MS),
      slower: () => bar.player.changeSpeed(-1),
      faster: () => bar.player.changeSpeed(1),
      previousWord: () => reading.stepWord(-1),
      nextWord: () => reading.stepWord(1),
    };
    const acts = {
      previousSegment: () => reading.stepPassage(-1),
      nextSegment: () => reading.stepPassage(1),
      edit: () => changing.edit(list.cursorId),
      nextDoubt: () => reading.stepDoubt(1),
      previousDoubt: () => reading.stepDoubt(-1),
      bookmark: () => this.side.bookmark(reading.positionMs),
      find: () => reading.findBar.open(String(getSelection()).trim().slice(0, 200)),
      save: () => (changing.editor.isOpen ? changing.save(changing.editor.id, changing.editor.text, false) : undefined, changing.tellSaved()),
      undo: () => changing.step("undo"),
      redo: () => changing.step("redo"),
      insertTime: () => changing.insertTime(),
      theme: () => document.dispatchEvent(new Event("speech:theme")),
      help: () => this.find("help-open").click(),
    };
    if (action in heard) return bar ? void heard[action]() : false;
    if (action.startsWith("speaker")) return void changing.setSpeakerNumber(Number(action.slice(-1)));
    return void acts[action]();
  }
}

/** Buttons and links act on Enter and Space themselves; so does the slider on its arrows. */
function isOfItsOwn(target, chord) {
  if (chord === "Enter" || chord === "Space") return Boolean(target.closest?.("button, a, summary"));
  return chord.startsWith("Arrow") && Boolean(target.closest?.("[role=slider], [role=menu], details.menu"));
}

function locksOfOthers(locks) {
  return new Map(locks.filter((lock) => !lock.is_yours).map((lock) => [lock.segment_id, lock.by]));
}
