/** Which live sessions are shown and in which order, as the page's query says. Pure. */

import { gettext, interpolate } from "./i18n.js";
import { stateWords } from "./live-words.js";

const NEWEST = "newest";
const NAMES = ["q", "state", "language", "source", "sort"];

/** Names of dialects and sources for people; what is not known here is shown by its own name. */
const SOURCE_WORDS = {
  native: () => gettext("Speech socket"),
  realtime: () => gettext("Realtime API"),
  listen: () => gettext("Listen API"),
  upload: () => gettext("File"),
  test: () => gettext("Test session"),
};

export function readFilter(search) {
  const query = new URLSearchParams(search);
  const filter = Object.fromEntries(NAMES.map((name) => [name, (query.get(name) ?? "").trim()]));
  return { ...filter, sort: filter.sort in ORDERS ? filter.sort : NEWEST, mine: query.get("mine") === "1" };
}

/** The query without what says nothing; "" for no filter. */
export function writeFilter(filter) {
  const query = new URLSearchParams();
  for (const name of NAMES) if (filter[name] && !(name === "sort" && filter.sort === NEWEST)) query.set(name, filter[name]);
  if (filter.mine) query.set("mine", "1");
  return query.toString();
}

/** Whether a row is shown. state: as the page shows it. userId: whose are "mine", or null. */
export function isShown(filter, row, state, userId) {
  return (
    (!filter.state || filter.state === state) &&
    (!filter.language || filter.language === row.language) &&
    (!filter.mine || (userId !== null && row.owner_id === userId)) &&
    (!filter.source || sourcesOf(row).includes(filter.source)) &&
    hasWords(row, filter.q)
  );
}

/** Whether every word of the search is somewhere in what the row shows. */
function hasWords({ title, session_id: id, owner, language, final, interim }, text) {
  const words = text.toLowerCase().split(/\s+/u).filter(Boolean);
  const shown = [title, id, owner, language, final, interim].join(" ").toLowerCase();
  return words.every((word) => shown.includes(word));
}

/** "web" for a person in a page, "key:NAME", "dialect:NAME". */
export function sourcesOf({ source, key, dialect }) {
  const isWeb = dialect === "native" && (source === "user" || source === "local");
  return [isWeb && "web", key && `key:${key}`, dialect && `dialect:${dialect}`].filter(Boolean);
}

export function sourceWords(source) {
  if (source === "web") return gettext("Browser");
  const name = source.slice(source.indexOf(":") + 1);
  if (source.startsWith("key:")) return interpolate(gettext("Key %(name)s"), { name });
  return (SOURCE_WORDS[name] ?? (() => name))();
}

/** What one row says of where it comes from. */
export function sourceOfRow(row) {
  const [first, second] = sourcesOf(row);
  if (first === "web") return sourceWords("web");
  return second && second !== "dialect:native" ? `${sourceWords(first)} · ${sourceWords(second)}` : sourceWords(first ?? "");
}

const ORDERS = {
  newest: (a, b) => compare(b.started_at, a.started_at),
  slowest: (a, b) => delayOf(b) - delayOf(a),
  longest: (a, b) => compare(a.started_at, b.started_at),
  loudest: (a, b) => (b.level ?? -1) - (a.level ?? -1),
};

/** Compares rows for Array.sort; those that are equal stay newest first. */
export function orderOf(sort) {
  const order = ORDERS[sort] ?? ORDERS[NEWEST];
  return (a, b) => order(a, b) || ORDERS[NEWEST](a, b);
}

const delayOf = ({ backlog_ms: backlog, latency_ms: latency }) => Math.max(backlog ?? -1, latency ?? -1);
const compare = (a, b) => (a < b ? -1 : Number(a > b));

/** Whether what decides changes with every frame, so that all rows have to be told of. */
export function needsAllRows({ q, state, sort }) {
  return q !== "" || state === "slow" || sort === "slowest" || sort === "loudest";
}

/** What was asked for, in words: “Slow” and “de-DE”. */
export function filterWords({ q, state, language, source, mine }) {
  const asked = [state && stateWords(state).text, language, source && sourceWords(source), mine && gettext("Only mine"), q];
  return asked.filter(Boolean).map((text) => `“${text}”`).join(` ${gettext("and")} `);
}
