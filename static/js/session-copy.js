/** Copying from the page of a session. */

import { canCopy, copyText } from "./clipboard.js";

export function connectCopyId(root) {
  if (!canCopy()) return;
  for (const button of root.querySelectorAll("[data-copy-id]")) {
    button.hidden = false;
    button.addEventListener("click", () => copyText(button.parentElement.querySelector("code").textContent, button));
  }
}

export function connectCopyTranscript(root) {
  const button = root.querySelector("[data-copy-transcript]");
  if (!button || !canCopy()) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    const texts = [...root.querySelectorAll("[data-transcript] [data-text]")].map((element) => element.textContent);
    copyText(texts.join("\n"), button);
  });
}
