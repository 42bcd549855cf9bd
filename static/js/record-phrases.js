/** Phrases that the recogniser should expect: those of a phrase set, and those that are typed. */

import { gettext, interpolate, ngettext } from "./i18n.js";

// As a session may start with: see options.SpeechContext.
const MAX_PHRASES = 500;
const MAX_CHARACTERS = 200;
const LOAD_TIMEOUT_MS = 5000;

export class PhraseSettings {
  /** element: the settings. Without a list of sets there are only typed phrases. */
  constructor(element, { load = fetchContext } = {}) {
    this.setField = element.querySelector('[data-setting="phraseSet"]');
    this.setState = element.querySelector("[data-phrase-set-state]");
    this.typedField = element.querySelector('[data-setting="phrases"]');
    this.typedHelp = element.querySelector("[data-phrases-help]");
    this.help = this.typedHelp.textContent;
    this.load = load;
    this.context = null;
    this.loading = null;
  }

  connect() {
    this.setField?.addEventListener("change", () => this._choose());
    this.typedField.addEventListener("input", () => this._check());
    this._choose();
    this._check();
  }

  /** The `speech_contexts` of a config. */
  get contexts() {
    const phrases = parsePhrases(this.typedField.value);
    return [this.context, phrases.length ? { phrases } : null].filter(Boolean);
  }

  /** Settles once the chosen set is there, or cannot be had; asks again for one that could not. */
  async ready() {
    if (this.address && !this.context && !this.loading) this._choose();
    await this.loading;
  }

  get address() {
    return this.setField?.selectedOptions[0]?.dataset.address;
  }

  _choose() {
    const { address } = this;
    this.context = null;
    this.loading = null;
    if (this.setState) this.setState.textContent = "";
    if (address) this.loading = this._load(address);
  }

  async _load(address) {
    let context = null;
    try {
      context = await this.load(address);
    } catch {
      // told below: whatever went wrong, the set is not there
    }
    if (address !== this.address) return;
    this.loading = null;
    this.context = context;
    this.setState.textContent = context
      ? interpolate(ngettext("%(count)s phrase", "%(count)s phrases", context.phrases.length), { count: context.phrases.length })
      : gettext("It could not be loaded and is left out. Recording tries again.");
  }

  _check() {
    const problem = problemOf(this.typedField.value);
    this.typedField.setAttribute("aria-invalid", String(Boolean(problem)));
    this.typedHelp.textContent = problem || this.help;
  }
}

async function fetchContext(address) {
  const answer = await fetch(address, { signal: AbortSignal.timeout(LOAD_TIMEOUT_MS) });
  // Somebody whose login is over is led to a page.
  if (!answer.ok || answer.redirected) throw new Error(`phrase set: ${answer.status}`);
  return answer.json();
}

/** A line each, without the space around it, once. */
export function parsePhrases(text) {
  return [...new Set(text.split("\n").map((line) => line.trim()).filter(Boolean))];
}

/** What a session would be refused for, in a sentence that names the line; "" where it would not. */
export function problemOf(text) {
  const lines = text.split("\n").map((line) => [...line.trim()].length);
  const long = lines.findIndex((length) => length > MAX_CHARACTERS);
  if (long >= 0) {
    const values = { line: long + 1, count: lines[long], limit: MAX_CHARACTERS };
    return interpolate(gettext("Line %(line)s has %(count)s characters; a phrase may have %(limit)s."), values);
  }
  const { length } = parsePhrases(text);
  if (length <= MAX_PHRASES) return "";
  return interpolate(gettext("These are %(count)s phrases; there may be %(limit)s."), { count: length, limit: MAX_PHRASES });
}
