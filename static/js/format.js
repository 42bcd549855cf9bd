/** Numbers and times as people read them. Pure. */

import { gettext, interpolate, ngettext, pageLanguage } from "./i18n.js";

const MS_PER_SECOND = 1000;
const SHOWN_ID_CHARACTERS = 18;

/** 0.5 with 2 decimals -> "0.50", in German "0,50". */
export function formatNumber(value, decimals = 0) {
  return new Intl.NumberFormat(pageLanguage(), { minimumFractionDigits: decimals, maximumFractionDigits: decimals }).format(value);
}

/** 252 000 ms -> "04:12"; from an hour on "1:04:12". */
export function formatDuration(ms) {
  const total = Math.max(0, Math.floor(ms / MS_PER_SECOND));
  const seconds = String(total % 60).padStart(2, "0");
  const minutes = String(Math.floor(total / 60) % 60).padStart(2, "0");
  const hours = Math.floor(total / 3600);
  return hours ? `${hours}:${minutes}:${seconds}` : `${minutes}:${seconds}`;
}

/** A wait in words, rounded up: "about 20 s", "about 2 min". */
export function formatWait(ms) {
  const seconds = Math.max(1, Math.ceil(ms / MS_PER_SECOND));
  if (seconds < 60) return interpolate(gettext("about %(count)s s"), { count: seconds });
  return interpolate(gettext("about %(count)s min"), { count: Math.ceil(seconds / 60) });
}

/** "3 minutes left" */
export function formatLeft(ms) {
  const seconds = Math.max(0, Math.round(ms / MS_PER_SECOND));
  if (seconds < 60) return interpolate(ngettext("%(count)s second left", "%(count)s seconds left", seconds), { count: seconds });
  const minutes = Math.round(seconds / 60);
  return interpolate(ngettext("%(count)s minute left", "%(count)s minutes left", minutes), { count: minutes });
}

/** "1.2 s" below ten seconds, "14 s" above. */
export function formatSeconds(ms) {
  const seconds = ms / MS_PER_SECOND;
  return interpolate(gettext("%(count)s s"), { count: seconds < 10 ? formatNumber(seconds, 1) : Math.round(seconds) });
}

/** "6 s", rounded; never "0 s". */
export function formatWholeSeconds(ms) {
  return interpolate(gettext("%(count)s s"), { count: Math.max(1, Math.round(ms / MS_PER_SECOND)) });
}

/** A length in words: "20 s", "3 min 20 s", "1 h 3 min". */
export function formatLength(ms) {
  const total = Math.max(1, Math.round(ms / MS_PER_SECOND));
  const [hours, minutes, seconds] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  if (hours) return interpolate(gettext("%(hours)s h %(minutes)s min"), { hours, minutes });
  if (minutes) return interpolate(gettext("%(minutes)s min %(seconds)s s"), { minutes, seconds });
  return formatWholeSeconds(ms);
}

/** The time of day, with the day where that is another than today. */
export function formatMoment(date, now = new Date()) {
  const isToday = date.toDateString() === now.toDateString();
  const day = isToday ? {} : { day: "numeric", month: "short" };
  return new Intl.DateTimeFormat(pageLanguage(), { ...day, hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(date);
}

/** The beginning of an id, as in the admin's lists; ids of clients have up to 64 characters. */
export function shortenId(id) {
  return id.length > SHOWN_ID_CHARACTERS ? `${id.slice(0, SHOWN_ID_CHARACTERS - 1)}…` : id;
}

export function formatBytes(bytes) {
  if (bytes < 1e6) return interpolate(gettext("%(count)s kB"), { count: Math.max(1, Math.round(bytes / 1e3)) });
  return interpolate(gettext("%(count)s MB"), { count: formatNumber(bytes / 1e6, 1) });
}

export function countWords(text) {
  return text.split(/\s+/u).filter(Boolean).length;
}

export function formatWords(count) {
  return interpolate(ngettext("%(count)s word", "%(count)s words", count), { count });
}

/** "14 min ago", in the page's language. */
export function formatAgo(date, now = Date.now()) {
  const seconds = Math.round((date.getTime() - now) / MS_PER_SECOND);
  const format = new Intl.RelativeTimeFormat(pageLanguage(), { numeric: "auto", style: "short" });
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) return format.format(Math.trunc(seconds / size), unit);
  }
  return format.format(seconds, "second");
}
