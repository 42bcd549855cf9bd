/** The transcript as this page knows it: what the server has, and over it what is on its way there. */

import { WordIndex } from "./word-index.js";
import { findWords } from "./word-diff.js";
import { timeWords } from "./word-times.js";

/** A segment of the API as the page has it. marks: {cutOff: Set of indexes, languages: Map of index to language}. */
export function toPassage(segment, marks) {
  const found = findWords(segment.text);
  const words = segment.words.map(({ word, start_ms: startMs, end_ms: endMs, confidence }, i) => ({
    at: found[i]?.at ?? 0, text: word, startMs, endMs, confidence,
  }));
  const passage = {
    id: segment.id,
    index: segment.segment,
    version: segment.version,
    startMs: segment.start_ms,
    endMs: segment.end_ms,
    text: segment.text,
    asrText: segment.asr_text,
    speaker: segment.speaker ?? "",
    isEdited: segment.is_edited,
    reviewed: segment.reviewed,
    words,
    isCutOff: marks.cutOff.has(segment.segment),
    language: marks.languages.get(segment.segment) ?? "",
    isWaiting: false,
    lockedBy: "",
  };
  // Should the two ever divide a text differently, its words are found here.
  return words.length === found.length ? passage : { ...passage, words: timeLocally(passage, segment.text) };
}

function timeLocally(passage, text) {
  const heard = passage.words.map((word) => ({ word: word.text, start_ms: word.startMs, end_ms: word.endMs, confidence: word.confidence }));
  return timeWords({ text, words: heard, startMs: passage.startMs, endMs: passage.endMs });
}

function inOrder(a, b) {
  return a.index - b.index || a.startMs - b.startMs || a.endMs - b.endMs;
}

export class Transcript extends EventTarget {
  /** Events: "changed" {ids}: of segments that are new, different or no more. */
  constructor(marks = { cutOff: new Set(), languages: new Map() }) {
    super();
    this.marks = marks;
    this.passages = [];
    this.version = 0; // of the review: every change of anybody has the next number
    this._byId = new Map();
    this._wordIndex = null;
  }

  get(id) {
    return this._byId.get(id) ?? null;
  }

  after(id, step = 1) {
    const at = this.passages.findIndex((passage) => passage.id === id);
    return at < 0 ? null : this.passages[at + step] ?? null;
  }

  get wordIndex() {
    this._wordIndex ??= new WordIndex(this.passages.map((passage) => ({ ...passage, key: passage.id })));
    return this._wordIndex;
  }

  /** The segment in which one of the machine's is. */
  at(index) {
    return this.passages.findLast((passage) => passage.index <= index) ?? null;
  }

  get speakers() {
    return [...new Set(this.passages.map(({ speaker }) => speaker))].filter(Boolean);
  }

  add(segments) {
    this.passages = [...this.passages, ...segments.map((segment) => toPassage(segment, this.marks))];
    this._changed([]);
  }

  /** Everything anew; of who edits what the next news tells. version: of the review before these were read. */
  reset(segments, version) {
    const gone = this.passages.map(({ id }) => id);
    this.passages = segments.map((segment) => this._keepLock(toPassage(segment, this.marks)));
    this.version = version;
    this._changed([...new Set([...gone, ...this.passages.map(({ id }) => id)])]);
  }

  /**
   * answer: {version, segments, removed}, what a change did. isNews: it is everything since our version; otherwise
   * others may have been in between, and what they did is still to be asked for.
   */
  apply({ version, segments, removed }, { isNews = false } = {}) {
    if (isNews || version === this.version + 1) this.version = version;
    const gone = new Set(removed);
    const news = new Map(segments.map((segment) => [segment.id, this._keepLock(toPassage(segment, this.marks))]));
    this.passages = this.passages.filter(({ id }) => !gone.has(id)).map((passage) => take(news, passage));
    this.passages = [...this.passages, ...news.values()].sort(inOrder);
    this._changed([...removed, ...segments.map(({ id }) => id)]);
  }

  /** What the person wants, before the server has it. */
  put(id, fields) {
    const passage = this.get(id);
    if (!passage) return;
    const isText = fields.text !== undefined && fields.text !== passage.text;
    const words = isText ? { words: timeLocally(passage, fields.text), isEdited: fields.text !== passage.asrText } : {};
    const now = { ...passage, ...fields, ...words };
    this.passages = this.passages.map((other) => (other === passage ? now : other));
    this._changed([id]);
  }

  /** locks: Map of segment id to who edits it. */
  setLocks(locks) {
    const ids = [];
    this.passages = this.passages.map((passage) => {
      const lockedBy = locks.get(passage.id) ?? "";
      if (lockedBy === passage.lockedBy) return passage;
      ids.push(passage.id);
      return { ...passage, lockedBy };
    });
    if (ids.length) this._changed(ids);
  }

  _keepLock(passage) {
    return { ...passage, lockedBy: this.get(passage.id)?.lockedBy ?? "" };
  }

  _changed(ids) {
    this._byId = new Map(this.passages.map((passage) => [passage.id, passage]));
    this._wordIndex = null;
    this.dispatchEvent(new CustomEvent("changed", { detail: { ids } }));
  }
}

function take(news, passage) {
  const now = news.get(passage.id);
  news.delete(passage.id);
  return now ?? passage;
}
