/** The last hour in three charts, asked for while they are open. */

import { Chart } from "./chart.js";
import { gettext, interpolate, pageLanguage } from "./i18n.js";
import { formatMeasured } from "./live-words.js";

const EVERY_MS = 30_000;
const TIMEOUT_MS = 10_000;

export class LastHour {
  /** details: the element with charts in it. url: of the minutes. slowLatencyMs: the limit that is drawn. */
  constructor(details, { url, slowLatencyMs }) {
    Object.assign(this, { details, url, slowLatencyMs });
    this.charts = null;
  }

  connect() {
    this.details.addEventListener("toggle", () => this.refresh());
    setInterval(() => this.refresh(), EVERY_MS);
  }

  async refresh() {
    if (!this.details.open || document.visibilityState !== "visible") return;
    try {
      const response = await fetch(this.url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (response.ok) this.show((await response.json()).minutes);
    } catch {
      // The old lines stand; the connection pill says when the server is away.
    }
  }

  show(minutes) {
    this.charts ??= this._make();
    const of = (name) => minutes.map((minute) => minute[name]);
    const most = (values) => Math.max(0, ...values.filter((value) => value !== null));
    const [live, errors, first, lag] = [of("live"), of("errors"), of("first_interim_ms"), of("final_lag_ms")];
    this.charts.live.draw([live], interpolate(gettext("At most %(most)s at a time, now %(now)s."), { most: most(live), now: live.at(-1) }));
    const delays = gettext("First interim at most %(first)s, final lag at most %(lag)s.");
    this.charts.delays.draw([first, lag], interpolate(delays, { first: formatMeasured(most(first)), lag: formatMeasured(most(lag)) }));
    const sum = errors.reduce((total, count) => total + count, 0);
    this.charts.errors.draw([errors], interpolate(gettext("%(count)s in the last hour."), { count: sum }));
    this._showTable(minutes);
  }

  /** The same in numbers, quarter by quarter: sixty rows would be read by nobody. */
  _showTable(minutes) {
    const rows = [15, 30, 45, 60].map((end) => {
      const part = minutes.slice(end - 15, end);
      const most = (name) => Math.max(...part.map((minute) => minute[name] ?? -1));
      const measured = (name) => formatMeasured(most(name) < 0 ? null : most(name));
      const errors = part.reduce((total, minute) => total + minute.errors, 0);
      return [new Date(part.at(-1).at), most("live"), measured("first_interim_ms"), measured("final_lag_ms"), errors];
    });
    const body = this.details.querySelector("[data-hour-rows]");
    body.replaceChildren(...rows.map(([at, ...cells]) => {
      const row = document.createElement("tr");
      const time = document.createElement("th");
      time.scope = "row";
      time.textContent = at.toLocaleTimeString(pageLanguage(), { hour: "2-digit", minute: "2-digit" });
      row.append(time, ...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
      return row;
    }));
  }

  _make() {
    const box = (name) => this.details.querySelector(`[data-chart="${name}"]`);
    const ends = [gettext("1 hour ago"), gettext("now")];
    const count = (value) => String(Math.round(value));
    const accent = { className: "chart-accent" };
    return {
      live: new Chart(box("live"), { series: [accent], format: count, ends }),
      delays: new Chart(box("delays"), {
        series: [accent, { className: "chart-second" }], format: formatMeasured, least: 500, ends, limit: this.slowLatencyMs,
      }),
      errors: new Chart(box("errors"), { series: [{ className: "chart-danger" }], format: count, ends }),
    };
  }
}
