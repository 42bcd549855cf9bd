/** The HTTP API of a session's review. Answers are as in docs/review-api.md. */

import { Conflict, Unreachable } from "./change-queue.js";

const TIMEOUT_MS = 15_000;
const SEGMENTS_AT_ONCE = 200;

/** The server refuses. status, and of its answer: reason, message, field. */
export class Refused extends Error {
  constructor(status, { message = "", reason = "", field = null } = {}) {
    super(message || String(status));
    this.status = status;
    this.reason = reason;
    this.field = field;
  }
}

export class ReviewApi {
  /** base: the session's address in the API. token: Django's, against requests of other sites. */
  constructor(base, token) {
    this.base = base;
    this.token = token;
  }

  /** Every part of the transcript, as they come: {segments, version, locks, …}. */
  async *parts() {
    for (let from = 0; from !== null;) {
      const part = await this._ask("GET", `review?from=${from}&limit=${SEGMENTS_AT_ONCE}`);
      yield part;
      from = part.next;
    }
  }

  news(version) {
    return this._ask("GET", `review/news?since=${version}`);
  }

  /** fields: text, speaker, reviewed; what is left out stays. */
  edit(id, version, fields) {
    return this._ask("PATCH", `review/segments/${id}`, { version, ...fields });
  }

  split(id, version, before, after) {
    return this._ask("POST", `review/segments/${id}/split`, { version, before, after });
  }

  merge(id, version, previousVersion, text) {
    return this._ask("POST", `review/segments/${id}/merge`, { version, previous_version: previousVersion, text });
  }

  lock(id) {
    return this._ask("PUT", `review/locks/${id}`, {});
  }

  unlock(id) {
    return this._ask("DELETE", `review/locks/${id}`);
  }

  renameSpeaker(version, speaker, name) {
    return this._ask("POST", "review/speakers", { version, speaker, name });
  }

  replace(version, find, replacement, matchCase) {
    return this._ask("POST", "review/replace", { version, find, replace: replacement, match_case: matchCase });
  }

  markReviewed(version) {
    return this._ask("POST", "review/mark-reviewed", { version });
  }

  reopen() {
    return this._ask("POST", "review/reopen", {});
  }

  undo(number) {
    return this._ask("POST", `review/history/${number}/undo`, {});
  }

  restore(version, number) {
    return this._ask("POST", `review/history/${number}/restore`, { version });
  }

  history(before = null) {
    return this._ask("GET", `review/history${before === null ? "" : `?before=${before}`}`);
  }

  figures() {
    return this._ask("GET", "review/figures");
  }

  notes() {
    return this._ask("GET", "notes");
  }

  addNote(timeMs, text) {
    return this._ask("POST", "notes", { time_ms: timeMs, text, kind: text ? "note" : "bookmark" });
  }

  changeNote(id, text) {
    return this._ask("PATCH", `notes/${id}`, { text });
  }

  removeNote(id) {
    return this._ask("DELETE", `notes/${id}`);
  }

  setTitle(title) {
    return this._ask("PATCH", "", { title });
  }

  /** The waveform: {peaks, step_ms, missing, is_partial}. */
  peaks() {
    return this._ask("GET", "peaks");
  }

  _ask(method, path, body) {
    return this._fetch(method, path ? `${this.base}/${path}` : this.base, body);
  }

  /** Raises Unreachable, Conflict or Refused. */
  async _fetch(method, url, body) {
    let response;
    try {
      response = await fetch(url, {
        method,
        headers: { Accept: "application/json", "X-CSRFToken": this.token, ...(body && { "Content-Type": "application/json" }) },
        body: body && JSON.stringify(body),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch (error) {
      throw new Unreachable(error.message); // no network, or no answer in time
    }
    const answer = await response.json().catch(() => null);
    if (response.ok) return answer;
    if (response.status === 409 && answer?.reason === "edit_conflict") {
      throw new Conflict(answer.message, answer.current, { by: answer.changed_by ?? "", at: answer.changed_at });
    }
    if (response.status >= 500 || response.status === 429) throw new Unreachable(answer?.message ?? String(response.status));
    throw new Refused(response.status, answer ?? {});
  }
}
