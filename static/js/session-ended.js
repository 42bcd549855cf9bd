/** The page of one session afterwards. */

import { ReviewPage } from "./review/page.js";
import { connectTitle } from "./review/title.js";
import { connectCopyId, connectCopyTranscript } from "./session-copy.js";

function connectDelete(root) {
  const dialog = root.querySelector("[data-delete-dialog]");
  if (!dialog) return;
  root.querySelector("[data-delete-open]").addEventListener("click", () => dialog.showModal());
  dialog.querySelector("[data-delete-cancel]").addEventListener("click", () => dialog.close());
}

function connectExport(root) {
  const menu = root.querySelector("[data-export]");
  if (!menu) return;
  document.addEventListener("click", (event) => {
    if (menu.open && (!menu.contains(event.target) || event.target.closest("a"))) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

const root = document.querySelector("main");
connectCopyId(root);
connectCopyTranscript(root);
connectDelete(root);
connectExport(root);
connectTitle(root);
if (root.dataset.reviewUrl) new ReviewPage(root).connect();
