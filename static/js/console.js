/** The operator's console: live sessions with their captions as they are spoken. */

import { Banners } from "./banners.js";
import { formatAgo } from "./format.js";
import { healthWatch } from "./health-watch.js";
import { InSight } from "./in-sight.js";
import { gettext, interpolate, ngettext, pageLanguage } from "./i18n.js";
import { LastHour } from "./last-hour.js";
import { LiveFilterBar } from "./live-filter-bar.js";
import { needsAllRows } from "./live-filter.js";
import { LiveNumbers } from "./live-numbers.js";
import { LiveSocket } from "./live-socket.js";
import { LiveTable } from "./live-table.js";
import { connectionWords } from "./live-words.js";
import { Shortcuts } from "./shortcuts.js";
import { StopDialog } from "./stop-dialog.js";

const HEALTH_EVERY_MS = 5000;
/** The server sends numbers every two seconds, whatever else happens. */
const SILENCE_MS = 12_000;
const SKELETON_MS = 1000;
/** A process that is being ended has sent this page elsewhere: its word counts for so long, whatever the next one says. */
const SENT_AWAY_MS = 15_000;

class Console {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector(`[data-${name}]`);
    const { limits, kpis, user_id: userId } = JSON.parse(document.getElementById("console-facts").textContent);
    this.socket = new LiveSocket(root.dataset.socketPath, { silenceMs: SILENCE_MS });
    this.banners = new Banners(this.find("banners"), this.find("banner-template"), (text) => this.announce(text));
    this.numbers = new LiveNumbers(this.find("kpis"), limits, kpis);
    this.lastHour = new LastHour(this.find("last-hour"), { url: root.dataset.hourUrl, slowLatencyMs: limits.slowLatencyMs });
    this.inSight = new InSight({ onChange: () => this.tellInSight() });
    this.table = new LiveTable({
      area: this.find("table-card"),
      body: this.find("rows"),
      template: this.find("row-template"),
      sessionUrl: (id) => `${root.dataset.sessionsUrl}${encodeURIComponent(id)}/`,
      onChange: () => this.showTable(),
      inSight: this.inSight,
      limits,
      userId,
    });
    this.filterBar = new LiveFilterBar(this.find("filters"), (filter) => this.onFilter(filter));
    this.stopDialog = null;
    this.isPaused = false;
    this.held = null; // while paused: the newest state of every session
    this.hasData = false;
    this.seq = null;
    this.wantsAll = null;
    this.sentAwayAt = -Infinity;
  }

  connect() {
    this.table.connect();
    this.numbers.connect();
    this.lastHour.connect();
    this.connectButtons();
    this.connectKeys();
    this.filterBar.connect();
    this.socket.addEventListener("message", ({ detail }) => this.onMessage(detail));
    this.socket.addEventListener("status", ({ detail }) => this.showStatus(detail));
    this.socket.open();
    healthWatch.follow(this.root.dataset.readyUrl, HEALTH_EVERY_MS, (report) => this.onHealth(report));
    setInterval(() => this.table.tick(Date.now()), 1000);
    setTimeout(() => this.endSkeleton(), SKELETON_MS);
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
      // Out of the table: what waited to be shown may then come.
      if (event.key === "Escape") event.target.blur();
    });
    this.find("pause").addEventListener("click", () => this.togglePause());
    this.find("help-button").addEventListener("click", () => this.find("help").showModal());
    this.find("new-rows").addEventListener("click", ({ detail }) => {
      this.table.showWaiting();
      // By keyboard: the button is gone, and who pressed it should not be nowhere.
      if (detail === 0) this.table.focusFirst();
    });
    this.find("clear").addEventListener("click", () => this.filterBar.clear());
    this.find("more-numbers").addEventListener("click", ({ currentTarget }) => {
      const isOpen = this.find("kpis").classList.toggle("is-open");
      currentTarget.setAttribute("aria-expanded", String(isOpen));
      currentTarget.querySelector("span").textContent = isOpen ? gettext("Fewer numbers and filters") : gettext("More numbers and filters");
    });
  }

  connectKeys() {
    const { liveUrl, sessionsUrl, recordUrl } = this.root.dataset;
    new Shortcuts({
      "?": () => this.find("help").showModal(),
      "/": () => this.filterBar.focusSearch(),
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
    else if (message.event === "error") this.onError(message);
  }

  onError({ message, reason, retryable }) {
    if (reason === "draining") {
      this.sentAwayAt = Date.now();
      if (!this.banners.has("draining")) this.showDraining(this.table.countStates().finishing ?? 0);
    } else if (!retryable) this.banners.show("error", "danger", message); // else the connection says enough
  }

  onSnapshot({ sessions, seq }) {
    this.seq = seq;
    this.hasData = true;
    this.banners.hide("error");
    this.endSkeleton();
    if (this.isPaused) this.held = { replace: true, rows: new Map(sessions.map((row) => [row.session_id, row])), ended: new Set() };
    else this.table.replace(sessions);
    this.table.tick(Date.now());
    this.tellInSight();
  }

  tellInSight() {
    this.socket.send({ type: "in_sight", session_ids: this.wantsAll ? null : this.inSight.ids });
  }

  onDelta({ sessions, ended, seq }) {
    if (this.seq !== null && seq <= this.seq) return;
    this.seq = seq;
    if (this.isPaused) this.hold(sessions, ended);
    else this.table.merge(sessions, ended);
  }

  hold(sessions, ended) {
    for (const row of sessions) {
      this.held.rows.set(row.session_id, row);
      this.held.ended.delete(row.session_id);
    }
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

  onFilter(filter) {
    this.table.setFilter(filter);
    const wantsAll = needsAllRows(filter);
    if (wantsAll === this.wantsAll) return;
    this.wantsAll = wantsAll;
    this.tellInSight();
  }

  // Actions

  openRow() {
    const row = this.table.activeRow;
    if (row) location.assign(row.sessionUrl);
  }

  askStop(row) {
    if (!row || !this.stopDialog || row.state === "failed") return;
    this.stopDialog.open({ sessionId: row.data.session_id, name: row.name, url: `${row.sessionUrl}stop/` });
  }

  onStopped(id) {
    const row = this.table.rows.get(id);
    if (row) {
      row.isStopping = true;
      row.update(row.data);
    }
    this.announce(gettext("The session is being stopped."));
  }

  // Showing

  announce(text) {
    this.find("status").textContent = text;
  }

  showStatus(status) {
    const { tone, text } = connectionWords(status);
    const pill = this.find("connection");
    pill.dataset.tone = this.isPaused && status.status === "connected" ? "info" : tone;
    pill.textContent = this.isPaused && status.status === "connected" ? gettext("Updates paused") : text;
    const isStale = ["reconnecting", "offline", "refused"].includes(status.status);
    this.root.classList.toggle("is-stale", isStale);
    if (isStale) this.endSkeleton();
    if (this.lastStatus !== status.status && this.lastStatus) this.announce(pill.textContent);
    this.lastStatus = status.status;
  }

  /** Rows that are not there after a second are said to be on their way. */
  endSkeleton() {
    this.find("skeleton").hidden = true;
    this.find("waiting").hidden = this.hasData;
  }

  showTable() {
    const shown = this.table.shown.length;
    const total = this.table.rows.size;
    this.find("table").hidden = !shown;
    this.find("empty").hidden = !this.hasData || total > 0;
    this.find("no-match").hidden = !this.hasData || !total || shown > 0;
    const words = { asked: this.filterBar.words };
    this.find("no-match-text").textContent = interpolate(gettext("No live session matches %(asked)s."), words);
    this.find("shown").textContent = total ? interpolate(gettext("%(shown)s of %(total)s shown"), { shown, total }) : "";
    this.showWaiting();
    this.showLastEnded();
    this.filterBar.showCounts(this.table.countStates());
    this.filterBar.offer(this.table.data);
  }

  showWaiting() {
    const count = this.table.waiting.size;
    const bar = this.find("new-rows-bar");
    const text = interpolate(ngettext("%(count)s new", "%(count)s new", count), { count });
    if (count && bar.hidden) this.announce(text);
    bar.hidden = !count;
    this.find("new-rows").textContent = text;
  }

  showLastEnded() {
    const ended = this.table.lastEnded;
    if (!ended) return;
    this.find("last-session").hidden = false;
    const link = this.find("last-session-link");
    link.href = ended.url;
    link.textContent = formatAgo(ended.at);
    link.title = ended.name;
  }

  showKpis(kpis) {
    this.numbers.show(kpis);
    const { live, capacity } = this.numbers.kpis;
    if (live >= capacity) {
      const text = gettext("%(live)s of %(capacity)s. New recordings are asked to wait.");
      this.banners.show("capacity", "warn", interpolate(text, { live, capacity }));
    } else this.banners.hide("capacity");
    if ("draining" in kpis) this.showDraining(kpis.draining);
  }

  /** count: sessions that are still finishing, or null where no process of the site is being ended. */
  showDraining(count) {
    if (count === null) {
      if (Date.now() - this.sentAwayAt > SENT_AWAY_MS) this.banners.hide("draining");
      return;
    }
    const text = ngettext("This server is being updated; %(count)s session still finishing.", "This server is being updated; %(count)s sessions still finishing.", count);
    this.banners.show("draining", "info", interpolate(text, { count }));
  }

  onHealth({ recogniser, since, detail }) {
    const isDown = recogniser === "down";
    this.numbers.showRiva(isDown);
    if (!isDown) {
      this.downSince = null;
      this.banners.hide("riva");
      return;
    }
    const heard = since ?? new Date();
    if (!this.downSince || heard < this.downSince) this.downSince = heard;
    const time = this.downSince.toLocaleTimeString(pageLanguage(), { hour: "2-digit", minute: "2-digit" });
    const text = gettext("Riva is unreachable since %(time)s: %(detail)s New recordings are asked to try again.");
    const link = { text: gettext("Health"), href: this.root.dataset.healthUrl };
    this.banners.show("riva", "danger", interpolate(text, { time, detail: detail ?? "" }), link);
  }
}

new Console(document.querySelector("[data-console]")).connect();
