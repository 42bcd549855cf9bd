/** The cards on top of the live page: figures, and a colour, a word and an icon where a limit is reached. */

import { formatDuration } from "./format.js";
import { gettext, interpolate, ngettext } from "./i18n.js";
import { formatMeasured } from "./live-words.js";

/**
 * What a card says beside its figure: {tone, note}. kpis: as the socket tells them; limits: {warnShare, dangerShare,
 * slowLatencyMs}; isRivaDown. Pure.
 */
export const JUDGEMENTS = {
  live({ live, capacity }, { warnShare, dangerShare }) {
    const share = capacity ? live / capacity : 0;
    if (live >= capacity) return { tone: "danger", note: gettext("full") };
    if (share >= dangerShare) return { tone: "danger", note: gettext("nearly full") };
    if (share >= warnShare) return { tone: "warn", note: gettext("filling up") };
    return { tone: "", note: gettext("places are free") };
  },
  audio_today({ sessions_today: count }) {
    return { tone: "", note: interpolate(ngettext("%(count)s session", "%(count)s sessions", count ?? 0), { count: count ?? 0 }) };
  },
  first_interim({ first_interim_p95_ms: ms }, { slowLatencyMs }, isRivaDown) {
    return isRivaDown ? { tone: "danger", note: gettext("Riva is unreachable") } : judgeDelay(ms, slowLatencyMs);
  },
  final_lag({ final_lag_p95_ms: ms }, { slowLatencyMs }) {
    return judgeDelay(ms, slowLatencyMs);
  },
  errors({ failed_last_hour: failed, interrupted_last_hour: count }, _limits, isRivaDown) {
    if (isRivaDown) return { tone: "danger", note: gettext("Riva is unreachable") };
    return { tone: failed ? "warn" : "", note: interpolate(gettext("%(count)s interrupted"), { count: count ?? 0 }) };
  },
  audio_lost({ audio_lost_today_ms: ms }) {
    return ms ? { tone: "warn", note: gettext("in gaps, today") } : { tone: "", note: gettext("nothing, today") };
  },
};

function judgeDelay(ms, slowMs) {
  if (ms === null || ms === undefined) return { tone: "", note: gettext("no data, last hour") };
  return ms > slowMs ? { tone: "warn", note: gettext("slow, last hour") } : { tone: "", note: gettext("in time, last hour") };
}

const FIGURES = {
  count: (value) => String(value),
  duration: (value) => formatDuration(value),
  measured: (value) => formatMeasured(value),
  seconds: (value) => interpolate(gettext("%(count)s s"), { count: Math.round((value ?? 0) / 1000) }),
};

export class LiveNumbers {
  /** list: the <ul> of cards. limits: see JUDGEMENTS. kpis: those that the page came with. */
  constructor(list, limits, kpis) {
    Object.assign(this, { list, limits, kpis });
    this.isRivaDown = false;
  }

  connect() {
    this.show({});
  }

  show(kpis) {
    this.kpis = { ...this.kpis, ...kpis };
    for (const element of this.list.querySelectorAll("[data-kpi]")) {
      const value = this.kpis[element.dataset.kpi];
      if (value !== undefined) setText(element, FIGURES[element.dataset.format ?? "count"](value));
    }
    for (const card of this.list.querySelectorAll("[data-kpi-card]")) this._judge(card);
  }

  showRiva(isDown) {
    this.isRivaDown = isDown;
    this.show({});
  }

  _judge(card) {
    const { tone, note } = JUDGEMENTS[card.dataset.kpiCard](this.kpis, this.limits, this.isRivaDown);
    card.dataset.tone = tone;
    setText(card.querySelector("[data-kpi-note]"), note);
    card.querySelector("[data-kpi-icon]").hidden = !tone;
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
