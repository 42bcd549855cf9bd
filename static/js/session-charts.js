/** Level and backlog of a live session over the last minute. */

import { Chart } from "./chart.js";
import { gettext, interpolate } from "./i18n.js";
import { formatMeasured, LIMITS } from "./live-words.js";

const SECONDS = 60;

export class SessionCharts {
  constructor({ level, backlog }) {
    const ends = [gettext("1 min ago"), gettext("now")];
    const percent = (share) => `${Math.round(share * 100)} %`;
    this.levels = new Array(SECONDS).fill(null);
    this.backlogs = new Array(SECONDS).fill(null);
    this.level = new Chart(level, { series: [{ className: "chart-accent" }], format: percent, ends });
    this.backlog = new Chart(backlog, {
      series: [{ className: "chart-second" }], format: formatMeasured, least: LIMITS.slowBacklogMs, ends, limit: LIMITS.slowBacklogMs,
    });
    this.loudest = null;
    this.newest = null;
  }

  /** A new measurement. The loudest of each second is drawn: speech has gaps. */
  take(level, backlogMs) {
    if (level !== null) this.loudest = Math.max(this.loudest ?? 0, Math.sqrt(level)); // as the meter shows it
    this.newest = backlogMs;
  }

  /** Once a second. */
  tick() {
    this.levels = [...this.levels.slice(1), this.loudest];
    this.backlogs = [...this.backlogs.slice(1), this.newest];
    this.loudest = null;
    const most = (values) => Math.max(0, ...values.filter((value) => value !== null));
    this.level.draw([this.levels], interpolate(gettext("Level in the last minute, at most %(most)s %"), { most: Math.round(most(this.levels) * 100) }));
    const words = { most: formatMeasured(most(this.backlogs)), now: formatMeasured(this.newest) };
    this.backlog.draw([this.backlogs], interpolate(gettext("Backlog in the last minute, at most %(most)s, now %(now)s"), words));
  }
}
