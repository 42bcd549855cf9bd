/** The operator's console: live sessions with their captions as they are spoken. */

import { formatDuration } from "./format.js";
import { InSight } from "./in-sight.js";
import { gettext, interpolate, ngettext } from "./i18n.js";
import { connectionWords, stateWords } from "./live-words.js";
import { LiveSocket } from "./live-socket.js";
import { LiveTable } from "./live-table.js";
import { Shortcuts } from "./shortcuts.js";
import { StopDialog } from "./stop-dialog.js";

const NUMBERS_EVERY_MS = 30_000;
const NUMBERS_TIMEOUT_MS = 10_000;
/** The server sends numbers every two seconds, whatever else happens. */
const SILENCE_MS = 12_000;
const WARN_SHARE = 0.8;
const DANGER_SHARE = 0.95;

class Console {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector(`[data-${name}]`);
    this.socket = new LiveSocket(root.dataset.socketPath, { silenceMs: SILENCE_MS });
    this.table = new LiveTable({
      table: this.find("table"),
      body: this.find("rows"),
      template: this.find("row-template"),
      sessionUrl: (id) => `${root.dataset.sessionsUrl}${encodeURIComponent(id)}/`,
      onChange: () => this.showTable(),
      inSight: (this.inSight = new InSight({ onChange: () => this.tellInSight() })),
    });
    this.stopDialog = null;
    this.isPaused = false;
    this.held = null; // while paused: the newest state of every session
    this.hasData = false;
    this.seq = null;
  }

  connect() {
    this.table.connect();
    this.connectFilters();
    this.connectButtons();
    this.connectKeys();
    this.readQuery();
    this.showNumbers();
    this.socket.addEventListener("message", ({ detail }) => this.onMessage(detail));
    this.socket.addEventListener("status", ({ detail }) => this.showStatus(detail));
    this.socket.open();
    setInterval(() => this.table.tick(Date.now()), 1000);
    setInterval(() => this.fetchNumbers(), NUMBERS_EVERY_MS);
  }

  connectFilters() {
    this.find("filters").addEventListener("submit", (event) => event.preventDefault());
    this.find("search").addEventListener("input", () => this.applyFilter());
    this.find("search").addEventListener("keydown", (event) => {
      if (event.key === "Escape") event.target.blur();
    });
    for (const chip of this.root.querySelectorAll("[data-chip]")) {
      chip.addEventListener("click", () => this.chooseState(chip.dataset.chip));
    }
    this.find("clear").addEventListener("click", () => {
      this.find("search").value = "";
      this.chooseState("");
    });
  }

  connectButtons() {
    const dialog = this.find("stop-dialog");
    if (dialog) {
      this.stopDialog = new StopDialog(dialog, (id) => this.onStopped(id));
      this.stopDialog.connect();
    }
    this.find("rows").addEventListener("click", (event) => {
      if (event.target.closest("[data-stop]")) this.askStop(this.table.row(event.target));
    });
    this.find("rows").addEventListener("keydown", (event) => {
      // Enter opens the row wherever shortcuts are on or off: it is what a focused row does.
      if (event.key === "Enter" && event.target.matches("tr")) this.openRow();
    });
    this.find("pause").addEventListener("click", () => this.togglePause());
    this.find("help-button").addEventListener("click", () => this.find("help").showModal());
    this.find("new-rows").addEventListener("click", () => this.table.showWaiting());
    this.find("more-numbers").addEventListener("click", ({ currentTarget }) => {
      const isOpen = this.root.querySelector(".kpis").classList.toggle("is-open");
      currentTarget.setAttribute("aria-expanded", String(isOpen));
      currentTarget.textContent = isOpen ? gettext("Fewer numbers") : gettext("More numbers");
    });
  }

  connectKeys() {
    const { liveUrl, sessionsUrl, recordUrl } = this.root.dataset;
    new Shortcuts({
      "?": () => this.find("help").showModal(),
      "/": () => this.find("search").focus(),
      j: () => this.table.move(1),
      k: () => this.table.move(-1),
      x: () => this.askStop(this.table.activeRow),
      p: () => this.togglePause(),
      t: () => document.dispatchEvent(new Event("speech:theme")),
      "g l": () => location.assign(liveUrl),
      "g s": () => location.assign(sessionsUrl),
      "g r": () => location.assign(recordUrl),
    }).connect();
  }

  // Data

  onMessage(message) {
    if (message.kpis) this.showKpis(message.kpis);
    if (message.event === "snapshot") this.onSnapshot(message);
    else if (message.event === "delta") this.onDelta(message);
    else if (message.event === "error") this.showBanner("danger", message.message);
  }

  onSnapshot({ sessions, seq }) {
    this.seq = seq;
    this.hasData = true;
    if (this.isPaused) this.held = { replace: true, rows: new Map(sessions.map((row) => [row.session_id, row])), ended: new Set() };
    else this.table.replace(sessions);
    this.table.tick(Date.now());
    this.tellInSight();
  }

  /** A search looks into the captions of all sessions, so all of them are wanted then. */
  tellInSight() {
    const isSearching = this.find("search").value.trim() !== "";
    this.socket.send({ type: "in_sight", session_ids: isSearching ? null : this.inSight.ids });
  }

  onDelta({ sessions, ended, seq }) {
    if (this.seq !== null && seq <= this.seq) return;
    this.seq = seq;
    if (this.isPaused) this.hold(sessions, ended);
    else this.table.merge(sessions, ended);
  }

  hold(sessions, ended) {
    for (const row of sessions) this.held.rows.set(row.session_id, row);
    for (const id of ended) {
      this.held.rows.delete(id);
      this.held.ended.add(id);
    }
  }

  togglePause() {
    this.isPaused = !this.isPaused;
    const button = this.find("pause");
    button.setAttribute("aria-pressed", String(this.isPaused));
    button.querySelector("span").textContent = this.isPaused ? gettext("Continue updates") : gettext("Pause updates");
    if (this.isPaused) {
      this.held = { replace: false, rows: new Map(), ended: new Set() };
      return;
    }
    const { replace, rows, ended } = this.held;
    this.held = null;
    if (replace) this.table.replace([...rows.values()]);
    else this.table.merge([...rows.values()], [...ended]);
  }

  async fetchNumbers() {
    if (document.visibilityState !== "visible") return;
    try {
      const response = await fetch(this.root.dataset.numbersUrl, { signal: AbortSignal.timeout(NUMBERS_TIMEOUT_MS) });
      if (response.ok) this.showKpis(await response.json());
    } catch {
      // The old figures stand; the connection pill says when the server is away.
    }
  }

  // Filters

  readQuery() {
    const query = new URLSearchParams(location.search);
    this.find("search").value = query.get("q") ?? "";
    this.chooseState(query.get("state") ?? "");
  }

  chooseState(state) {
    const chips = [...this.root.querySelectorAll("[data-chip]")];
    const known = chips.some((chip) => chip.dataset.chip === state) ? state : "";
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.dataset.chip === known));
    this.state = known;
    this.applyFilter();
  }

  applyFilter() {
    const text = this.find("search").value.trim();
    this.table.setFilter({ words: text.toLowerCase().split(/\s+/u).filter(Boolean), state: this.state });
    if (Boolean(text) !== this.isSearching) {
      this.isSearching = Boolean(text);
      this.tellInSight();
    }
    const query = new URLSearchParams({ ...(text && { q: text }), ...(this.state && { state: this.state }) }).toString();
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
  }

  // Actions

  openRow() {
    const row = this.table.activeRow;
    if (row) location.assign(row.sessionUrl);
  }

  askStop(row) {
    if (!row || !this.stopDialog) return;
    this.stopDialog.open({ sessionId: row.data.session_id, name: row.name, url: `${row.sessionUrl}stop/` });
  }

  onStopped(id) {
    const row = this.table.rows.get(id);
    if (row) {
      row.isStopping = true;
      row.update(row.data);
    }
    this.find("status").textContent = gettext("The session is being stopped.");
  }

  // Showing

  showStatus(status) {
    const { tone, text } = connectionWords(status);
    const pill = this.find("connection");
    pill.dataset.tone = this.isPaused && status.status === "connected" ? "info" : tone;
    pill.textContent = this.isPaused && status.status === "connected" ? gettext("Updates paused") : text;
    const isStale = ["reconnecting", "offline", "refused"].includes(status.status);
    this.root.classList.toggle("is-stale", isStale);
    if (status.status !== "connected" && status.status !== "connecting") this.find("skeleton").hidden = true;
    if (this.lastStatus !== status.status && this.lastStatus) this.find("status").textContent = pill.textContent;
    this.lastStatus = status.status;
  }

  showTable() {
    const shown = this.table.shown.length;
    const total = this.table.rows.size;
    this.find("skeleton").hidden = this.hasData || this.find("skeleton").hidden;
    this.find("table").hidden = !shown;
    this.find("empty").hidden = !this.hasData || total > 0;
    this.find("no-match").hidden = !this.hasData || !total || shown > 0;
    this.find("no-match-text").textContent = this.noMatchText();
    this.find("shown").textContent = total ? interpolate(gettext("%(shown)s of %(total)s shown"), { shown, total }) : "";
    this.showWaiting();
    this.showChipCounts();
  }

  showWaiting() {
    const count = this.table.waiting.size;
    const button = this.find("new-rows");
    button.hidden = !count;
    button.textContent = interpolate(ngettext("%(count)s new", "%(count)s new", count), { count });
  }

  showChipCounts() {
    const counts = this.table.countStates();
    for (const element of this.root.querySelectorAll("[data-chip-count]")) {
      element.textContent = String(counts[element.dataset.chipCount] ?? 0);
    }
  }

  noMatchText() {
    const text = this.find("search").value.trim();
    const asked = [this.state && stateWords(this.state).text, text].filter(Boolean).map((part) => `“${part}”`);
    return interpolate(gettext("No live session matches %(asked)s."), { asked: asked.join(` ${gettext("and")} `) });
  }

  /** The figures that the page came with. */
  showNumbers() {
    for (const element of this.root.querySelectorAll("[data-kpi][data-value]")) {
      this.showKpis({ [element.dataset.kpi]: Number(element.dataset.value) });
    }
  }

  showKpis(kpis) {
    for (const [name, value] of Object.entries(kpis)) {
      const element = this.find(`kpi="${name}"`);
      if (element) element.textContent = element.dataset.format === "duration" ? formatDuration(value) : String(value);
    }
    if ("live" in kpis) this.showCapacity(kpis.live, kpis.capacity ?? Number(this.root.dataset.capacity));
    if ("failed_last_hour" in kpis) this.find('kpi-card="failed_last_hour"').dataset.tone = kpis.failed_last_hour ? "danger" : "";
  }

  showCapacity(live, capacity) {
    const share = capacity ? live / capacity : 0;
    const isFull = live >= capacity;
    this.find('kpi-card="live"').dataset.tone = share >= DANGER_SHARE ? "danger" : share >= WARN_SHARE ? "warn" : "";
    this.find('kpi-note="live"').textContent = isFull ? gettext("full") : share >= WARN_SHARE ? gettext("nearly full") : "";
    if (isFull) {
      const text = gettext("%(live)s of %(capacity)s. New recordings are asked to wait.");
      this.showBanner("warn", interpolate(text, { live, capacity }), "capacity");
    } else this.hideBanner("capacity");
  }

  showBanner(tone, text, about = "error") {
    const banner = this.find("banner");
    banner.dataset.tone = tone;
    banner.dataset.about = about;
    banner.hidden = false;
    this.find("banner-text").textContent = text;
  }

  hideBanner(about) {
    const banner = this.find("banner");
    if (banner.dataset.about === about) banner.hidden = true;
  }
}

new Console(document.querySelector("[data-console]")).connect();
