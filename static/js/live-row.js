/** One row of the live table, updated in place. */

import { formatDuration, shortenId } from "./format.js";
import { gettext, interpolate } from "./i18n.js";
import { sourceOfRow } from "./live-filter.js";
import { formatMeasured, LIMITS, SoundWatch, stateOf, stateWords } from "./live-words.js";

/** Cells show two lines; more text than that would only cost layout. */
const CAPTION_CHARACTERS = 240;

export class LiveRow {
  /** limits: {slowLatencyMs, slowBacklogMs}. */
  constructor(template, sessionUrl, limits = LIMITS) {
    this.limits = limits;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.find = (name) => this.element.querySelector(`[data-${name}]`);
    this.sound = new SoundWatch();
    this.sessionUrl = sessionUrl;
    this.data = null;
    this.isStopping = false;
  }

  update(data) {
    this.data = data;
    this.element.dataset.id = data.session_id;
    this._showSession();
    this._showState();
    this._showCaption();
    this._showLevel();
    this._showNumbers();
  }

  get state() {
    return this.isStopping && this.data.state !== "failed" ? "stopping" : stateOf(this.data, this.limits);
  }

  get name() {
    return this.data.title || this.data.session_id;
  }

  tick(nowMs) {
    if (this.data.state === "failed") return;
    this._text("time", formatDuration(nowMs - Date.parse(this.data.started_at)));
  }

  _showSession() {
    const { title, session_id: id, owner, key, language, error } = this.data;
    const link = this.find("title");
    link.href = this.find("open").href = this.sessionUrl;
    this._text("title", title || shortenId(id));
    link.title = this.name;
    link.classList.toggle("mono", !title);
    this._text("about", [key ? "" : owner, sourceOfRow(this.data), language].filter(Boolean).join(" · "));
    this._text("error", error ?? "");
    this.find("open").setAttribute("aria-label", interpolate(gettext("Open %(name)s"), { name: this.name }));
    this.find("stop")?.setAttribute("aria-label", interpolate(gettext("Stop %(name)s"), { name: this.name }));
    this._text("node", this.data.worker ?? "");
  }

  _showState() {
    const { tone, text } = stateWords(this.state);
    this.find("state").dataset.tone = tone;
    this._text("state", text);
    const stop = this.find("stop");
    if (stop) stop.hidden = this.state === "failed";
  }

  _showCaption() {
    const { final, interim, language, captions_hidden: isHidden } = this.data;
    const caption = this.element.querySelector(".caption");
    caption.lang = language;
    caption.classList.toggle("is-hidden-caption", isHidden);
    this._text("final", isHidden ? gettext("Captions hidden") : (final ?? "").slice(-CAPTION_CHARACTERS));
    this._text("interim", isHidden ? "" : (interim ?? "").slice(-CAPTION_CHARACTERS));
  }

  _showLevel() {
    const level = this.data.level ?? 0;
    const isSilent = this.sound.isSilent(level);
    const meter = this.find("level");
    meter.value = Math.sqrt(level); // speech is quiet on a straight scale
    meter.setAttribute("aria-label", isSilent ? gettext("No sound") : gettext("Input level"));
    this._text("level-text", isSilent ? gettext("no sound") : "");
  }

  _showNumbers() {
    const { latency_ms: latencyMs, backlog_ms: backlogMs } = this.data;
    this._text("latency", formatMeasured(latencyMs));
    this.find("latency").classList.toggle("is-slow", latencyMs > this.limits.slowLatencyMs);
    this._text("backlog", formatMeasured(backlogMs));
    this.find("backlog").classList.toggle("is-slow", backlogMs > this.limits.slowBacklogMs);
  }

  _text(name, text) {
    const element = this.find(name);
    if (element.textContent !== text) element.textContent = text;
  }
}
