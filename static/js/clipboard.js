/** Copying, with a short "Copied" on the button. Off where the page's address is not secure: browsers forbid it there. */

import { gettext } from "./i18n.js";

const SHOWN_MS = 1600;

export const canCopy = () => Boolean(navigator.clipboard);

export async function copyText(text, button) {
  const label = button.querySelector("span") ?? button;
  let shown = gettext("Copied");
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    shown = gettext("Copying is blocked");
  }
  button.dataset.label ??= label.textContent;
  label.textContent = shown;
  setTimeout(() => {
    label.textContent = button.dataset.label;
  }, SHOWN_MS);
}
