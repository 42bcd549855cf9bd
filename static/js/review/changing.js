/** The editor's side of a review: texts, splits, merges, speakers, undo, and what becomes of them on the way. */

import { gettext, interpolate, ngettext } from "../i18n.js";
import { browserStore, ChangeQueue, Conflict, Unreachable } from "./change-queue.js";
import { Editor } from "./editor.js";
import { replaceQuestion } from "./find-bar.js";
import { replaceHit } from "./find.js";
import { UndoStack } from "./undo.js";
import { joinTexts } from "./word-diff.js";

const LOCK_EVERY_MS = 10_000;

export class Changing {
  /**
   * page: {root, api, transcript, list, bar, announcer, dialogs: {conflict, speaker, ask}, storeKey}.
   * onState({state, waiting, message}): what to show of the saving. onChange(): the transcript was changed from here.
   * refresh(): fetch what others changed. readAgain(): fetch everything.
   */
  constructor(page, { onState, onChange, refresh, readAgain }) {
    Object.assign(this, page, { onState, onChange, refresh, readAgain });
    this.mayEdit = false;
    this.undo = new UndoStack(() => this.showUndo());
    this.queue = new ChangeQueue({ send: (change) => this._send(change), store: browserStore(this.storeKey) });
    this.editor = new Editor({
      save: (id, text, { goOn }) => this.save(id, text, goOn),
      split: (id, before, after) => this.split(id, before, after),
      merge: (id, text) => this.merge(id, text),
      cancel: (id) => this.leave(id),
      typing: () => this.bar?.pausesWhileTyping && this.bar.player.holdForTyping(),
      rest: () => this.bar?.player.resumeAfterTyping(),
    });
    this._lockTimer = null;
  }

  connect() {
    const { queue } = this;
    queue.addEventListener("state", ({ detail }) => this._onState(detail));
    queue.addEventListener("saved", ({ detail }) => this._onSaved(detail));
    queue.addEventListener("conflict", ({ detail }) => this._onConflict(detail));
    queue.addEventListener("refused", ({ detail }) => this._onRefused(detail));
    for (const name of ["undo", "redo"]) this.root.querySelector(`[data-${name}]`)?.addEventListener("click", () => this.step(name));
    window.addEventListener("online", () => queue.retry());
    // What is being typed when the page goes is sent now, or by the next visit.
    window.addEventListener("pagehide", () => this._addText());
    window.addEventListener("beforeunload", (event) => {
      if (this.editor.isChanged) event.preventDefault();
    });
    this.showWaiting();
    queue.start();
  }

  /** What is not on the server yet is shown all the same. */
  showWaiting() {
    for (const { id, kind, ...fields } of this.queue.waiting) this.transcript.put(id, { ...shownFields(kind, fields), isWaiting: true });
  }

  /** Open the editor on a segment. */
  async edit(id, options = {}) {
    const passage = this.transcript.get(id);
    if (!this.mayEdit || !passage || passage.lockedBy) return;
    if (this.editor.isOpen) {
      if (this.editor.id === id) return;
      this.save(this.editor.id, this.editor.text, false);
    }
    this.list.isEditing = true;
    this.list.setCursor(id);
    this.editor.open(passage, this.list.row(id), options);
    this._hold(id);
  }

  save(id, text, goOn) {
    const next = this.transcript.after(id);
    this._addText();
    this._close(id);
    if (goOn && next) this.edit(next.id, { caret: 0 });
    else this.list.focus(id);
  }

  leave(id) {
    this._close(id);
    this.list.focus(id);
  }

  async split(id, before, after) {
    if (!before || !after) return void this.announcer.say(gettext("Put the caret between two words to split."));
    this._close(id);
    const answer = await this._perform(() => this.api.split(id, this.transcript.get(id).version, before, after), gettext("Split"));
    if (!answer) return void this.edit(id, { text: `${before} ${after}`, caret: before.length });
    const second = answer.segments.find((segment) => segment.id !== id) ?? answer.segments.at(-1);
    this.edit(second.id, { caret: 0 });
  }

  async merge(id, text) {
    const passage = this.transcript.get(id);
    const previous = this.transcript.after(id, -1);
    if (!previous || previous.lockedBy) return;
    this._close(id);
    const joined = joinTexts(previous.text, text);
    const answer = await this._perform(
      () => this.api.merge(id, this.transcript.get(id)?.version ?? passage.version, this.transcript.get(previous.id).version, joined),
      gettext("Joined"),
    );
    if (!answer) return void this.edit(id, { text, caret: 0 });
    this.edit(previous.id, { caret: previous.text.length });
  }

  /** number: of the speakers as they are listed, from 1. */
  setSpeakerNumber(number) {
    const name = this.transcript.speakers[number - 1];
    const passage = this.transcript.get(this.list.cursorId);
    if (name && passage && this.mayEdit && passage.speaker !== name) this._addSpeaker(passage, name);
  }

  async askSpeaker(id, { everywhere = false } = {}) {
    const passage = this.transcript.get(id);
    if (!this.mayEdit || !passage) return;
    const { speaker } = passage;
    const count = this.transcript.passages.filter((other) => other.speaker === speaker).length;
    const wish = await this.dialogs.speaker.ask({ speaker, names: this.transcript.speakers, count, everywhere });
    if (!wish || wish.name === speaker) return;
    if (!wish.everywhere) this._addSpeaker(passage, wish.name);
    else await this._perform(() => this.api.renameSpeaker(this.transcript.version, speaker, wish.name), gettext("Speaker named"));
  }

  async replaceOne(hit, replacement) {
    const passage = this.transcript.get(hit.key);
    if (passage && this.mayEdit) this._add({ id: hit.key, kind: "text", version: passage.version, text: replaceHit(passage.text, hit, replacement).trim() });
  }

  async replaceAll(query, replacement, matchCase, hits) {
    if (!this.mayEdit || !hits.length || !(await this.dialogs.ask.ask(replaceQuestion(hits, query, replacement)))) return;
    await this._perform(() => this.api.replace(this.transcript.version, query, replacement, matchCase), gettext("Replaced"));
  }

  restore(number) {
    return this._perform(() => this.api.restore(this.transcript.version, number), gettext("Restored"));
  }

  restoreText(id, text) {
    const passage = this.transcript.get(id);
    if (passage) this._add({ id, kind: "text", version: passage.version, text });
  }

  /** name: "undo" or "redo". */
  async step(name) {
    if (this.editor.isOpen || !this.mayEdit) return;
    if (!(await this.queue.idle())) return void this._say(gettext("Not while changes are waiting. They are sent first."));
    const step = await this.undo[name]();
    if (step) this.announcer.say(name === "undo" ? gettext("Undone") : gettext("Done again"));
  }

  /** "All changes saved", or what is in the way. */
  tellSaved() {
    this.announcer.say(stateWords(this.queue.state, this.queue.waiting.length));
    // Who sees it sees that the key was heard.
    this.root.querySelector("[data-save-state]").animate([{ opacity: 0.2 }, { opacity: 1 }], { duration: 400 });
  }

  insertTime() {
    if (this.editor.isOpen) this.editor.insertTime(this.bar?.player.positionMs ?? this.transcript.get(this.editor.id).startMs);
  }

  _addText() {
    if (!this.editor.isChanged) return;
    const { passage, text } = this.editor;
    // An empty text would be nothing to click: what nobody said is deleted by saying nothing of it.
    this._add({ id: passage.id, kind: "text", version: passage.version, text });
  }

  _addSpeaker(passage, speaker) {
    this._add({ id: passage.id, kind: "speaker", version: passage.version, speaker });
  }

  _add(change) {
    if (!this.queue.add(change)) return void this._say(gettext("Too many changes are waiting. Nothing more is taken until there is a connection."));
    this.transcript.put(change.id, { ...shownFields(change.kind, change), isWaiting: this.queue.state === "offline" });
  }

  async _send({ id, kind, version, text, speaker }) {
    try {
      const answer = await this.api.edit(id, version, kind === "text" ? { text } : { speaker });
      const now = answer.segments.find((segment) => segment.id === id);
      return { version: now?.version ?? version, answer };
    } catch (error) {
      // Sent twice, since its answer was lost: it is what is there.
      const current = error instanceof Conflict ? error.current : null;
      if (current?.id === id && (kind === "text" ? current.text === text : (current.speaker ?? "") === speaker)) {
        return { version: current.version, answer: { segments: [current], removed: [] } };
      }
      throw error;
    }
  }

  _onSaved({ change, answer: { answer } }) {
    // What was written since is shown, not what was just saved.
    const later = this.queue.waiting.find(({ id }) => id === change.id);
    this.transcript.apply(answer);
    if (later) this.transcript.put(later.id, { ...shownFields(later.kind, later), isWaiting: true });
    if (this.editor.id === change.id) this.editor.passage = this.transcript.get(change.id);
    if (answer.segments.length && answer.version !== undefined) this._remember(answer.version);
    this.onChange();
  }

  async _onConflict({ change, current, by, at }) {
    if (!current || current.id !== change.id || change.kind !== "text") {
      // A speaker, or a segment that is no more: what is there stays.
      this.queue.resolve(false);
      const words = by
        ? interpolate(gettext("%(name)s changed this segment meanwhile. Your change of it was not made."), { name: by })
        : gettext("Somebody else changed this segment meanwhile. Your change of it was not made.");
      this._say(words, "warn");
      return void this.refresh();
    }
    const choice = await this.dialogs.conflict.ask({ who: by, at, theirs: current.text, mine: change.text });
    this.queue.resolve(choice === "mine");
    if (choice !== "mine") this.transcript.apply({ segments: [current], removed: [] });
    if (choice === "edit") this.edit(change.id, { text: change.text });
    await this.refresh();
  }

  async _onRefused({ change, error }) {
    this._say(interpolate(gettext("Not saved: %(message)s"), { message: error.message }), "danger");
    await this.refresh({ ids: [change.id] });
  }

  /** One change of more than a text: what waits goes first. Returns its answer, or null where it was not made. */
  async _perform(ask, said) {
    if (!(await this.queue.idle())) {
      this._say(gettext("This needs a connection. Texts and speakers can be changed without one."), "warn");
      return null;
    }
    this._onState({ state: "saving", waiting: 0 });
    try {
      const answer = await ask();
      await this._take(answer);
      if (!answer.is_all || answer.segments.length || answer.removed.length) this._remember(answer.version);
      this._onState({ state: "saved", waiting: 0 });
      this.announcer.say(said);
      this.onChange();
      return answer;
    } catch (error) {
      if (error instanceof Unreachable) this._say(gettext("The server cannot be reached. Nothing was changed; try again in a moment."), "warn");
      else if (error instanceof Conflict) this._say(meanwhileWords(error.by), "warn");
      else this._say(interpolate(gettext("Not saved: %(message)s"), { message: error.message }), "danger");
      await this.refresh();
      return null;
    }
  }

  /** What a change did; of more segments than the answer tells everything is read again. */
  async _take(answer) {
    if (answer.is_all) this.transcript.apply(answer);
    else await this.readAgain();
  }

  /** number: of the entry in the history. Taking back what took it back does it once more. */
  _remember(number) {
    let last = number;
    const takeBack = async () => {
      try {
        const answer = await this.api.undo(last);
        last = answer.version;
        await this._take(answer);
        this.onChange();
        return true;
      } catch (error) {
        const words = error instanceof Conflict
          ? gettext("Somebody else changed this since. It cannot be undone here; the history can restore it.")
          : interpolate(gettext("Not undone: %(message)s"), { message: error.message });
        this._say(words, "warn");
        return false;
      }
    };
    this.undo.push({ undo: takeBack, redo: takeBack });
  }

  showUndo() {
    for (const [name, can] of [["undo", this.undo.canUndo], ["redo", this.undo.canRedo]]) {
      const button = this.root.querySelector(`[data-${name}]`);
      if (button) button.disabled = !can || !this.mayEdit;
    }
  }

  _onState({ state, waiting }) {
    // The first was on its way when the connection went.
    if (state === "offline" && this.queue.waiting.some(({ id }) => this.transcript.get(id)?.isWaiting === false)) this.showWaiting();
    this.onState({ state, waiting, message: stateWords(state, waiting) });
  }

  _say(message, tone = "warn") {
    this.onState({ state: tone, waiting: this.queue.waiting.length, message });
    this.announcer.say(message);
  }

  _hold(id) {
    const hold = async () => {
      try {
        await this.api.lock(id);
      } catch (error) {
        // Without a lock the version still keeps two texts apart; only who was told by the server stops.
        if (error.reason === "segment_locked" && this.editor.id === id && !this.editor.isChanged) {
          this._close(id);
          this._say(error.message, "warn");
          await this.refresh();
        }
      }
    };
    clearInterval(this._lockTimer);
    this._lockTimer = setInterval(hold, LOCK_EVERY_MS);
    hold();
  }

  _close(id) {
    clearInterval(this._lockTimer);
    this.editor.close();
    this.list.isEditing = false;
    this.api.unlock(id).catch(() => {}); // it ends by itself
    this.list.update(this.transcript.get(id));
  }
}

function meanwhileWords(name) {
  return name
    ? interpolate(gettext("%(name)s changed the transcript meanwhile. It is up to date now; try again."), { name })
    : gettext("Somebody else changed the transcript meanwhile. It is up to date now; try again.");
}

function shownFields(kind, { text, speaker }) {
  return kind === "text" ? { text } : { speaker };
}

/** state: of the queue. */
export function stateWords(state, waiting) {
  if (state === "saving") return gettext("Saving…");
  if (state === "conflict") return gettext("Waiting for your choice");
  if (state !== "offline") return gettext("All changes saved");
  return interpolate(ngettext("Offline: %(count)s change waiting", "Offline: %(count)s changes waiting", waiting), { count: waiting });
}
