/** The settings of the recording page, remembered in the browser, and the `config` they make. */

import { listMicrophones } from "./capture.js";
import { gettext, interpolate } from "./i18n.js";
import { SAMPLE_RATE_HZ } from "./pcm.js";
import { PhraseSettings } from "./record-phrases.js";
import { recall, remember } from "./storage.js";

const KEY = "recording-settings";

export class RecordSettings {
  /** log: the captions' log, which reads aloud only if asked to: loudspeakers would be recorded. */
  constructor(element, log) {
    this.element = element;
    this.log = log;
    this.fields = [...element.querySelectorAll("[data-setting]")];
    this.titleField = element.querySelector("[data-title]");
    this.summary = element.querySelector("[data-settings-summary]");
    this.microphoneField = element.querySelector('[data-setting="deviceId"]');
    this.phrases = new PhraseSettings(element);
  }

  connect() {
    const stored = recall(KEY, {});
    for (const field of this.fields) restore(field, stored[field.dataset.setting]);
    this.element.addEventListener("change", () => this._onChange());
    this.phrases.connect();
    this._apply();
  }

  /** Settles once everything that config() tells is there, or cannot be had. */
  ready() {
    return this.phrases.ready();
  }

  get values() {
    return Object.fromEntries(this.fields.map((field) => [field.dataset.setting, valueOf(field)]));
  }

  get title() {
    return this.titleField.value.trim();
  }

  clearTitle() {
    this.titleField.value = "";
  }

  /** The `config` of start_transcription. */
  config(title) {
    const { language, punctuation, profanityFilter, keepAudio } = this.values;
    const { contexts } = this.phrases;
    return {
      language,
      enable_automatic_punctuation: punctuation,
      profanity_filter: profanityFilter,
      encoding: "LINEAR_PCM",
      sample_rate_hertz: SAMPLE_RATE_HZ,
      // Not offered where the site keeps none.
      ...(keepAudio !== undefined && { keep_audio: keepAudio }),
      ...(contexts.length && { speech_contexts: contexts }),
      ...(title && { title }),
    };
  }

  /** What is asked once at the start cannot change while a recording runs. */
  setLocked(isLocked) {
    for (const field of this.fields) field.disabled = isLocked && field.dataset.setting !== "readAloud";
    this.titleField.disabled = isLocked;
  }

  /** Names are known only once permission was given. Returns the microphones. */
  async fillMicrophones() {
    const microphones = await listMicrophones();
    const known = microphones.filter(({ deviceId }) => deviceId && deviceId !== "default");
    const chosen = this.microphoneField.value || recall(KEY, {}).deviceId || "";
    const options = known.map(({ deviceId, label }, index) => {
      return new Option(label || interpolate(gettext("Microphone %(number)s"), { number: index + 1 }), deviceId);
    });
    this.microphoneField.replaceChildren(new Option(gettext("Default microphone"), ""), ...options);
    restore(this.microphoneField, chosen);
    return microphones;
  }

  _onChange() {
    remember(KEY, this.values);
    this._apply();
  }

  _apply() {
    const { language, readAloud } = this.values;
    this.summary.textContent = language;
    this.log.setAttribute("aria-live", readAloud ? "polite" : "off");
  }
}

function valueOf(field) {
  return field.type === "checkbox" ? field.checked : field.value;
}

/** A stored choice that is no longer offered leaves the default. */
function restore(field, value) {
  if (value === undefined) return;
  if (field.type === "checkbox") field.checked = Boolean(value);
  else if (!field.options) field.value = String(value);
  else if ([...field.options].some((option) => option.value === value)) field.value = value;
}
