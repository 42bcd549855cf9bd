/** One row of the transcript: time, speaker, words, state. Texts become text nodes and nothing else. */

import { formatDuration, formatNumber } from "../format.js";
import { gettext, interpolate } from "../i18n.js";
import { diffTexts } from "./word-diff.js";
import { timeWords } from "./word-times.js";

/** view: "machine", "edited" or "changes". Returns the words that are shown with their times; of changes none. */
export function shownWords(passage, view) {
  if (view === "edited") return passage.words;
  if (view !== "machine") return [];
  if (!passage.isEdited) return passage.words;
  const heard = passage.words.map(({ text, startMs, endMs, confidence }) => ({ word: text, start_ms: startMs, end_ms: endMs, confidence }));
  return timeWords({ ...passage, text: passage.asrText, words: heard });
}

/** A recogniser tells voices apart by numbers. */
export function speakerName(speaker) {
  return /^\d+$/.test(speaker) ? interpolate(gettext("Speaker %(number)s"), { number: speaker }) : speaker;
}

export function shownText(passage, view) {
  return view === "machine" ? passage.asrText : passage.text;
}

/** template: a row without content. options: {language, view, threshold, mayEdit}, see TranscriptList. Without words. */
export function makeRow(template, passage, options) {
  const row = template.content.firstElementChild.cloneNode(true);
  row.dataset.id = passage.id;
  fillRow(row, passage, options, { withWords: false });
  return row;
}

/** withWords: each word is an element, to be marked and clicked; otherwise the text is one. */
export function fillRow(row, passage, { language, view, threshold, mayEdit }, { withWords = true } = {}) {
  const find = (name) => row.querySelector(`[data-${name}]`);
  // The segment in which it begins has the anchor; searches and links know no other number.
  row.id = passage.id.includes(".") ? "" : `segment-${passage.id}`;
  if (!row.id) row.removeAttribute("id");
  const time = find("row-play");
  time.textContent = formatDuration(passage.startMs);
  time.setAttribute("aria-label", interpolate(gettext("Play from %(time)s"), { time: time.textContent }));
  fillSpeaker(find("row-speaker"), passage.speaker, mayEdit);
  const paragraph = find("text");
  paragraph.lang = passage.language || language;
  paragraph.replaceChildren(...contentOf(passage, view, threshold, withWords));
  find("row-edited").hidden = !passage.isEdited;
  find("row-reviewed").hidden = !passage.reviewed;
  find("row-cut-off").hidden = !passage.isCutOff;
  find("row-waiting").hidden = !passage.isWaiting;
  find("row-edit").hidden = !mayEdit || Boolean(passage.lockedBy);
  row.classList.toggle("is-locked", Boolean(passage.lockedBy));
  const lock = find("row-lock");
  lock.hidden = !passage.lockedBy;
  lock.textContent = passage.lockedBy ? interpolate(gettext("%(name)s is editing this segment"), { name: passage.lockedBy }) : "";
}

function fillSpeaker(button, speaker, mayEdit) {
  button.hidden = !speaker && !mayEdit;
  button.disabled = !mayEdit;
  button.textContent = speakerName(speaker) || gettext("Who speaks?");
  button.classList.toggle("is-unset", !speaker);
}

function contentOf(passage, view, threshold, withWords) {
  if (view === "changes") return changeNodes(passage);
  return withWords ? wordNodes(passage, view, threshold) : [shownText(passage, view)];
}

function wordNodes(passage, view, threshold) {
  const text = shownText(passage, view);
  const nodes = [];
  let end = 0;
  for (const [i, word] of shownWords(passage, view).entries()) {
    if (word.at > end) nodes.push(text.slice(end, word.at));
    const span = document.createElement("span");
    span.dataset.w = String(i);
    span.textContent = word.text;
    if (threshold !== null && word.confidence !== null && word.confidence < threshold) markDoubt(span, word.confidence);
    nodes.push(span);
    end = word.at + word.text.length;
  }
  if (end < text.length) nodes.push(text.slice(end));
  return nodes;
}

function markDoubt(span, confidence) {
  span.className = "doubt";
  span.title = interpolate(gettext("Confidence %(value)s"), { value: formatNumber(confidence, 2) });
}

/** What people took out and put in; unchanged text stands as it is. */
function changeNodes(passage) {
  if (!passage.isEdited) return [passage.text];
  return diffNodes(passage.asrText, passage.text);
}

export function diffNodes(before, after) {
  return diffTexts(before, after).map(({ kind, text }) => {
    if (kind === "same") return text;
    const element = document.createElement(kind === "added" ? "ins" : "del");
    element.textContent = text.trimEnd();
    const both = document.createDocumentFragment();
    both.append(element, " ");
    return both;
  });
}
