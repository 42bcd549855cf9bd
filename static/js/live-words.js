/** What a live session looks like in words and tones; shared by the console and the session page. Pure. */

import { formatSeconds } from "./format.js";
import { gettext, interpolate } from "./i18n.js";

/** Where the page is not told the site's own limits. */
export const LIMITS = { slowLatencyMs: 1000, slowBacklogMs: 2000 };
const NO_SOUND_AFTER_MS = 10_000;
const SOUND_LEVEL = 0.003;

/** "live", "slow", "finishing", ...: a live session whose captions run behind is slow. */
export function stateOf(row, { slowBacklogMs } = LIMITS) {
  if (row.state === "detached") return "reconnecting";
  if (row.state !== "live") return row.state;
  return row.backlog_ms > slowBacklogMs ? "slow" : "live";
}

const STATE_WORDS = {
  created: ["", () => gettext("Created")],
  opening: ["info", () => gettext("Opening")],
  live: ["ok", () => gettext("Live")],
  slow: ["warn", () => gettext("Slow")],
  reconnecting: ["warn", () => gettext("Reconnecting")],
  detached: ["warn", () => gettext("Reconnecting")],
  paused: ["", () => gettext("Paused")],
  finishing: ["info", () => gettext("Finishing")],
  stopping: ["info", () => gettext("Stopping")],
  completed: ["", () => gettext("Completed")],
  interrupted: ["warn", () => gettext("Interrupted")],
  failed: ["danger", () => gettext("Failed")],
};

/** {tone, text} of a state; one that is not known is shown by its name. */
export function stateWords(state) {
  const [tone, text] = STATE_WORDS[state] ?? ["", () => state];
  return { tone, text: text() };
}

/** A measured time, or a dash where nothing was measured yet. */
export function formatMeasured(ms) {
  if (ms === null || ms === undefined) return "–";
  return ms < 1000 ? interpolate(gettext("%(count)s ms"), { count: Math.round(ms) }) : formatSeconds(ms);
}

/** Remembers when each session was last heard, to say "no sound" after ten silent seconds. */
export class SoundWatch {
  constructor() {
    this._heardAt = Date.now();
  }

  /** Returns whether there has been no sound for ten seconds. */
  isSilent(level, now = Date.now()) {
    if (level >= SOUND_LEVEL) this._heardAt = now;
    return now - this._heardAt >= NO_SOUND_AFTER_MS;
  }
}

/** {tone, text} of the connection pill. */
export function connectionWords({ status, ageMs, code }) {
  const age = ageMs === null ? "" : formatSeconds(ageMs);
  switch (status) {
    case "connected":
      return { tone: "ok", text: interpolate(gettext("Connected · updated %(age)s ago"), { age }) };
    case "reconnecting":
      if (!age) return { tone: "warn", text: gettext("Reconnecting…") };
      return { tone: "warn", text: interpolate(gettext("Reconnecting… showing data from %(age)s ago"), { age }) };
    case "offline":
      return { tone: "danger", text: gettext("Offline") };
    case "refused":
      return { tone: "danger", text: code === 4401 ? gettext("Please log in again") : gettext("Not allowed") };
    default:
      return { tone: "", text: gettext("Connecting…") };
  }
}
