/** Times in the reader's own zone: `<time datetime data-relative>` becomes "14 min ago", `data-clock` "10:52", `data-clock-seconds` "10:52:07"; the exact moment is the title. */

import { formatAgo } from "./format.js";
import { pageLanguage } from "./i18n.js";

const DAY_MS = 24 * 3600 * 1000;

export function localiseTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const date = new Date(element.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    const isRecent = Math.abs(Date.now() - date.getTime()) < DAY_MS;
    const styles = stylesOf(element, isRecent);
    const exact = date.toLocaleString(pageLanguage(), styles);
    element.title = date.toLocaleString(pageLanguage(), { dateStyle: "full", timeStyle: "long" });
    element.textContent = "relative" in element.dataset && isRecent ? formatAgo(date) : exact;
  }
}

function stylesOf({ dataset }, isRecent) {
  if (isRecent && "clock" in dataset) return { timeStyle: "short" };
  if (isRecent && "clockSeconds" in dataset) return { timeStyle: "medium" };
  return { dateStyle: "medium", timeStyle: "short" };
}
