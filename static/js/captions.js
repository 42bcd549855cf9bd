/**
 * Captions: finals as paragraphs in a log, the interim result below it, out of the log, so that screen readers are not
 * flooded. The view follows the newest words until the reader scrolls up.
 */

import { countWords, formatDuration } from "./format.js";
import { gettext, interpolate, ngettext } from "./i18n.js";

const NEAR_END_PX = 48;

export class Captions {
  /** log, interim, scroller: elements. jump: the button "Jump to live", or null. showTimes: a time before each final. */
  constructor({ log, interim, scroller, jump = null, showTimes = false }) {
    Object.assign(this, { log, interim, scroller, jump, showTimes });
    this.finals = new Map(); // index -> {text, paragraph}
    this.words = 0;
    this.unseen = 0;
    this.isFollowing = true;
    scroller.addEventListener("scroll", () => this._onScroll(), { passive: true });
    jump?.addEventListener("click", () => this.follow());
  }

  get text() {
    return [...this.finals.values()].map(({ text }) => text).join("\n");
  }

  get isEmpty() {
    return !this.finals.size && !this.interim.textContent;
  }

  show(transcript) {
    if (transcript.is_final) this.addFinal(transcript);
    else this.showInterim(transcript.text, transcript.language);
  }

  showInterim(text, language = "") {
    if (language) this.interim.lang = language;
    this.interim.textContent = text;
    this._keepUp();
  }

  /** A final sent again (now durable) changes nothing. */
  addFinal({ segment, text, start_ms: startMs, speaker, language }) {
    if (this.finals.has(segment)) return;
    const paragraph = this._paragraph(text, startMs, speaker, language);
    this.finals.set(segment, { text, paragraph });
    this.words += countWords(text);
    this.interim.textContent = "";
    this.log.append(paragraph);
    if (!this.isFollowing) this.unseen += 1;
    this._keepUp();
  }

  /** The service takes back the finals from this index on: their audio is being recognised again. */
  withdraw(fromSegment) {
    for (const [segment, { text, paragraph }] of this.finals) {
      if (segment < fromSegment) continue;
      this.finals.delete(segment);
      this.words -= countWords(text);
      paragraph.remove();
    }
    this.interim.textContent = "";
    this._keepUp();
  }

  clear() {
    this.finals.clear();
    this.words = 0;
    this.unseen = 0;
    this.log.replaceChildren();
    this.interim.textContent = "";
    this.follow();
  }

  follow() {
    this.isFollowing = true;
    this.unseen = 0;
    this._keepUp();
  }

  _paragraph(text, startMs, speaker, language) {
    const paragraph = document.createElement("p");
    paragraph.className = "final";
    paragraph.dir = "auto";
    if (language) paragraph.lang = language;
    if (this.showTimes) paragraph.append(this._part("final-time", formatDuration(startMs)));
    if (speaker) paragraph.append(this._part("final-speaker", speaker));
    paragraph.append(this._part("final-text", text));
    return paragraph;
  }

  _part(className, text) {
    const span = document.createElement("span");
    span.className = className;
    span.textContent = text;
    return span;
  }

  _onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.isFollowing = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    if (this.isFollowing) this.unseen = 0;
    this._showJump();
  }

  _keepUp() {
    if (this.isFollowing) this.scroller.scrollTop = this.scroller.scrollHeight;
    this._showJump();
  }

  _showJump() {
    if (!this.jump) return;
    this.jump.hidden = this.isFollowing;
    const count = this.unseen;
    const label = count ? ngettext("Jump to live (%(count)s new line)", "Jump to live (%(count)s new lines)", count) : gettext("Jump to live");
    this.jump.querySelector("span").textContent = interpolate(label, { count });
  }
}
