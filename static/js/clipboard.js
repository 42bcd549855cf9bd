/** Copying, with a short "Copied" on the button. Also where the page's address is not secure or permission is refused. */

import { gettext } from "./i18n.js";

const SHOWN_MS = 1600;

export const canCopy = () => Boolean(navigator.clipboard) || document.queryCommandSupported?.("copy");

/** announcer: speaks the outcome to screen readers, where the page has one. */
export async function copyText(text, button, announcer = null) {
  const label = button.querySelector("span") ?? button;
  const shown = (await write(text, button)) ? gettext("Copied") : gettext("Copying is blocked");
  button.dataset.label ??= label.textContent;
  label.textContent = shown;
  announcer?.say(shown);
  setTimeout(() => {
    label.textContent = button.dataset.label;
  }, SHOWN_MS);
}

async function write(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return writeBySelection(text, button);
  }
}

/** The older way: it needs no permission and no secure address, but a selection. */
function writeBySelection(text, button) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  // Beside the button: in a dialog nothing outside it can take the focus.
  button.after(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  button.focus();
  return isCopied;
}
