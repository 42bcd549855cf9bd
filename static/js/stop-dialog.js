/** Asks before a live session is stopped, and for the reason that its speaker is shown. */

import { gettext, interpolate } from "./i18n.js";

const TIMEOUT_MS = 10_000;

export class StopDialog {
  /** onStopped(sessionId): called when the server took the wish. */
  constructor(dialog, onStopped) {
    this.dialog = dialog;
    this.onStopped = onStopped;
    this.form = dialog.querySelector("[data-stop-form]");
    this.error = dialog.querySelector("[data-stop-error]");
    this.submit = dialog.querySelector("[data-stop-submit]");
    this.sessionId = null;
  }

  connect() {
    this.dialog.querySelector("[data-stop-cancel]").addEventListener("click", () => this.dialog.close());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
  }

  open({ sessionId, name, url }) {
    this.sessionId = sessionId;
    this.form.action = url;
    this.form.reset();
    this.error.hidden = true;
    this.dialog.querySelector("[data-stop-title]").textContent = interpolate(gettext("Stop “%(name)s”?"), { name });
    this.dialog.showModal();
    this.form.elements.reason.focus();
  }

  async send() {
    this.submit.disabled = true;
    try {
      const response = await fetch(this.form.action, {
        method: "POST",
        body: new URLSearchParams(new FormData(this.form)),
        headers: { Accept: "application/json" },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (!response.ok) throw new Error(String(response.status));
      this.dialog.close();
      this.onStopped(this.sessionId);
    } catch (error) {
      const isForbidden = error.message === "403";
      this.error.textContent = isForbidden
        ? gettext("You may not stop this session, or your login has ended. It is still running.")
        : gettext("The server did not take this. The session may still be running; please try again.");
      this.error.hidden = false;
    } finally {
      this.submit.disabled = false;
    }
  }
}
