/** The reader's side of a review: hearing, following, stepping through doubtful words, looking for words. */

import { gettext, interpolate } from "../i18n.js";
import { recall, remember } from "../storage.js";
import { FindBar } from "./find-bar.js";
import { shownText } from "./passage-row.js";
import { Stepper } from "./word-index.js";

const STORE = "review-reading";
/** A doubtful word is heard with some of what is around it. */
const AROUND_MS = 700;

export class Reading {
  /** page: {root, transcript, list, bar (null without audio), announcer}. on: {replaceOne, replaceAll}. */
  constructor(page, on) {
    Object.assign(this, page);
    this.find = (name) => this.root.querySelector(`[data-${name}]`);
    this.view = "edited";
    this.settings = recall(STORE, { doubts: false, threshold: 0.8 });
    this.stepper = new Stepper([]);
    this.findBar = new FindBar(this.find("find"), this.find("find-open"), {
      texts: () => this.transcript.passages.map((passage) => ({ key: passage.id, text: shownText(passage, this.view) })),
      on: { show: (hits, current, isMoving) => this._showHits(hits, current, isMoving), ...on },
    });
  }

  connect() {
    this.findBar.connect();
    for (const choice of this.root.querySelectorAll("[name=view]")) {
      choice.checked = choice.value === this.view;
      choice.addEventListener("change", () => this._setView(choice.value));
    }
    this.find("doubts").checked = this.settings.doubts;
    this.find("threshold").value = this.settings.threshold.toFixed(2);
    this.find("doubts").addEventListener("change", () => this._markDoubts());
    this.find("threshold").addEventListener("change", () => this._markDoubts());
    for (const button of this.root.querySelectorAll("[data-doubt]")) {
      button.addEventListener("click", () => this.stepDoubt(Number(button.dataset.doubt)));
    }
    this.transcript.addEventListener("changed", () => this._onChanged());
    this._markDoubts();
  }

  get threshold() {
    return this.settings.doubts ? this.settings.threshold : null;
  }

  get player() {
    return this.bar?.player ?? null;
  }

  /** Where the person is: what is heard, or without audio the row where keys act. */
  get positionMs() {
    return this.player ? this.player.positionMs : this.transcript.get(this.list.cursorId)?.startMs ?? 0;
  }

  /** Each frame while it plays. */
  follow(ms, isPlaying) {
    const passage = this.transcript.wordIndex.segmentAt(ms);
    if (!passage) return void this.list.setCurrent(null);
    const word = this.transcript.wordIndex.wordAt(ms);
    const number = word?.key === passage.key && this.view === "edited" ? word.word : null;
    const hasMoved = this.list.setCurrent(passage.key, number);
    if (!hasMoved || !isPlaying || this.list.isEditing) return;
    this.list.setCursor(passage.key);
    if (this.bar.isFollowing) this.list.rows.get(passage.key)?.scrollIntoView({ block: "nearest" });
  }

  hearPassage(id) {
    const passage = this.transcript.get(id);
    if (!passage) return;
    if (this.player) this.player.playFrom(passage.startMs);
    else location.hash = `segment-${passage.index}`;
  }

  hearWord(id, number) {
    const word = this.view === "edited" ? this.transcript.get(id)?.words[number] : null;
    this._wasQuiet = !this.player?.isPlaying;
    if (word) this.player?.playFrom(word.startMs);
  }

  /** The click that began to play was the first of two: it stays where it is, and quiet if it was. */
  unhearWord() {
    if (this._wasQuiet) this.player?.pause();
    this._wasQuiet = false;
  }

  stepWord(by) {
    const place = this.transcript.wordIndex.step(this.positionMs, by);
    if (place) this.goTo(place);
  }

  stepPassage(by) {
    const { list, transcript } = this;
    const next = list.cursorId ? transcript.after(list.cursorId, by) : transcript.passages[0];
    if (!next) return;
    if (this.player && !this.player.isPlaying) this.player.seek(next.startMs);
    list.focus(next.id);
  }

  /** To a word, without playing. */
  goTo({ key, word, startMs }) {
    this.player?.seek(startMs);
    this.list.setCursor(key);
    this.list.row(key)?.scrollIntoView({ block: "nearest" });
    this.list.setCurrent(key, this.view === "edited" ? word : null);
  }

  stepDoubt(by) {
    if (!this.settings.doubts) {
      this.find("doubts").checked = true;
      this._markDoubts();
    }
    const place = this.stepper.step(by > 0, this.positionMs);
    this._tellDoubts();
    if (!place) return;
    const { text } = this.transcript.get(place.key).words[place.word];
    this.list.focus(place.key);
    this.goTo(place);
    this.player?.playBetween(place.startMs - AROUND_MS, place.endMs + AROUND_MS);
    this.announcer.say(`${text}. ${this.find("doubt-text").textContent}`);
  }

  _setView(view) {
    this.view = view;
    this.list.change({ view });
    if (this.findBar.isOpen) this.findBar.search();
    this.follow(this.positionMs, false);
  }

  _markDoubts() {
    const threshold = Math.max(0.05, Math.min(1, Number(this.find("threshold").value) || 0.8));
    this.settings = { doubts: this.find("doubts").checked, threshold };
    remember(STORE, this.settings);
    this.list.change({ threshold: this.threshold });
    this._onChanged();
  }

  _onChanged() {
    const doubts = this.settings.doubts ? this.transcript.wordIndex.doubtful(this.settings.threshold) : [];
    const { current } = this.stepper;
    this.stepper = new Stepper(doubts);
    if (current) this.stepper.at = doubts.findIndex(({ key, word, startMs }) => key === current.key && word === current.word && startMs === current.startMs);
    this.find("doubt-steps").hidden = !this.settings.doubts;
    this.bar?.wave.mark({ doubts });
    this._tellDoubts();
    if (this.findBar.isOpen) this.findBar.search({ stays: true });
  }

  _tellDoubts() {
    const values = { at: this.stepper.at + 1, count: this.stepper.places.length };
    const words = values.count ? (values.at ? gettext("Word %(at)s of %(count)s") : gettext("%(count)s words")) : gettext("No doubtful words");
    this.find("doubt-text").textContent = interpolate(words, values);
    for (const button of this.root.querySelectorAll("[data-doubt]")) button.disabled = !values.count;
  }

  _showHits(hits, current, isMoving) {
    this.list.setHits(hits, current);
    if (!current || !isMoving) return;
    this.list.row(current.key)?.scrollIntoView({ block: "center" });
    this.list.setCursor(current.key);
    this.list.setHits(hits, current);
  }
}
