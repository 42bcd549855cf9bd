/** The form of the API page, remembered in the browser, and the `config` that it makes. */

import { recall, remember } from "./storage.js";

const KEY = "api-form";
/** Which option of `config` a field stands for, where that may be refused. */
const OPTIONS = { language: "config.language", sampleRateHz: "config.sample_rate_hertz", encoding: "config.encoding", phrases: "config.speech_contexts" };

/**
 * The options of start_transcription; what is as the service has it anyway is left out. Pure.
 *
 * keepsAudioAnyway: what the site does where nothing is asked for.
 */
export function configOf(values) {
  const { language, sampleRateHz, encoding, phrases, interim, punctuation, wordTimes, profanityFilter } = values;
  const { keepsAudioAnyway = false, keepAudio = keepsAudioAnyway } = values;
  const wanted = phrases.split("\n").map((phrase) => phrase.trim()).filter(Boolean);
  return {
    language,
    sample_rate_hertz: sampleRateHz,
    ...(encoding !== "LINEAR_PCM" && { encoding }),
    ...(!interim && { enable_interim_results: false }),
    ...(!punctuation && { enable_automatic_punctuation: false }),
    ...(!wordTimes && { enable_word_time_offsets: false }),
    ...(profanityFilter && { profanity_filter: true }),
    ...(keepAudio !== keepsAudioAnyway && { keep_audio: keepAudio }),
    ...(wanted.length && { speech_contexts: [{ phrases: wanted }] }),
  };
}

export class ApiForm {
  /** onChange: called when a value has changed. */
  constructor(element, onChange) {
    this.element = element;
    this.fields = element.querySelector("[data-fields]");
    this.onChange = onChange;
  }

  connect() {
    const stored = recall(KEY, {});
    for (const field of this.controls) restore(field, stored[field.name]);
    this.element.addEventListener("input", () => {
      remember(KEY, this.values);
      this.onChange();
    });
    this.element.addEventListener("submit", (event) => event.preventDefault());
  }

  get controls() {
    return [...this.fields.elements].filter((field) => field.name);
  }

  get values() {
    const values = Object.fromEntries(this.controls.map((field) => [field.name, valueOf(field)]));
    const keepsAudioAnyway = this.fields.elements.keepAudio?.dataset.usual !== undefined;
    return { ...values, sampleRateHz: Number(values.sampleRateHz), keepsAudioAnyway };
  }

  get config() {
    return configOf(this.values);
  }

  /** path: the option that was refused, such as "config.speech_contexts.0"; null: none. */
  mark(path) {
    for (const field of this.controls) {
      const option = OPTIONS[field.name];
      const isWrong = Boolean(path && option && (path === option || path.startsWith(`${option}.`)));
      if (isWrong) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
  }

  /** What is asked once at the start cannot change while a session runs. */
  setLocked(isLocked) {
    this.fields.disabled = isLocked;
  }
}

function valueOf(field) {
  return field.type === "checkbox" ? field.checked : field.value;
}

/** A stored choice that is no longer offered leaves the default. */
function restore(field, value) {
  if (value === undefined) return;
  if (field.type === "checkbox") field.checked = Boolean(value);
  else if (!field.options || [...field.options].some((option) => option.value === String(value))) field.value = value;
}
