/** The title of a session, changed in place. */

import { gettext } from "../i18n.js";
import { ReviewApi } from "./review-api.js";

export function connectTitle(root) {
  const opener = root.querySelector("[data-title-open]");
  if (!opener) return;
  const [heading, form] = [root.querySelector("[data-title]"), root.querySelector("[data-title-form]")];
  const input = form.querySelector("input");
  const error = root.querySelector("[data-title-error]");
  const api = new ReviewApi(root.dataset.sessionUrl, document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "");
  const show = (isOpen) => {
    form.hidden = !isOpen;
    heading.hidden = isOpen;
    opener.hidden = isOpen;
    error.hidden = true;
    if (isOpen) input.select();
    else opener.focus();
  };
  opener.hidden = false;
  opener.addEventListener("click", () => show(true));
  form.querySelector("[data-title-cancel]").addEventListener("click", () => show(false));
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(false);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const { title } = await api.setTitle(input.value.trim());
      heading.textContent = title || gettext("Untitled recording");
      show(false);
    } catch (refused) {
      error.textContent = refused.message;
      error.hidden = false;
    }
  });
}
