/** What happened to a session: a list that is asked for again as long as the session is live. */

import { localiseTimes } from "./times.js";

const EVERY_MS = 3000;
const TIMEOUT_MS = 5000;

export class Timeline {
  /** list: the <ol>. url: of the list as JSON. */
  constructor(list, url) {
    Object.assign(this, { list, url });
    this._isAsking = false;
  }

  connect() {
    setInterval(() => this.refresh(), EVERY_MS);
  }

  async refresh() {
    if (this._isAsking || document.visibilityState !== "visible") return;
    this._isAsking = true;
    try {
      const response = await fetch(this.url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (response.ok) this.show((await response.json()).entries);
    } catch {
      // The list stands as it is; the connection pill says when the server is away.
    } finally {
      this._isAsking = false;
    }
  }

  /** Only what is new is added, so that what is read or selected stays. */
  show(entries) {
    const known = this.list.children.length;
    for (const entry of entries.slice(known)) this.list.append(this._item(entry));
    localiseTimes(this.list);
  }

  _item({ at, text, tone }) {
    const item = document.createElement("li");
    if (tone) item.dataset.tone = tone;
    const time = document.createElement("time");
    time.className = "number small muted";
    time.dateTime = at;
    time.dataset.clockSeconds = "";
    const words = document.createElement("span");
    words.dir = "auto";
    words.textContent = text;
    item.append(time, " ", words);
    return item;
  }
}
