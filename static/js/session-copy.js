/** Copying from the page of a session. */

import { canCopy, copyText } from "./clipboard.js";

export function connectCopyId(root) {
  const button = root.querySelector("[data-copy-id]");
  if (!button || !canCopy()) return;
  button.hidden = false;
  button.addEventListener("click", () => copyText(root.querySelector("[data-public-id]").textContent, button));
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
