/** The foot of the captions card: text size, full screen, copy. */

import { canCopy, copyText } from "./clipboard.js";

const SIZES = 6;
const FIRST_SIZE = 2;

export class CaptionTools {
  /** find: elements of the page by their data name. captions: what is copied. */
  constructor(find, captions) {
    this.find = find;
    this.captions = captions;
    this.size = FIRST_SIZE;
  }

  connect() {
    this.find("smaller").addEventListener("click", () => this.resize(-1));
    this.find("larger").addEventListener("click", () => this.resize(1));
    this.find("fullscreen").addEventListener("click", () => this.toggleFullScreen());
    this.find("fullscreen").hidden = !document.fullscreenEnabled;
    for (const name of ["copy", "copy-saved"]) {
      const button = this.find(name);
      button.hidden = !canCopy();
      button.addEventListener("click", () => this.copy(button));
    }
  }

  copy(button = this.find("copy")) {
    if (this.captions.words && canCopy()) copyText(this.captions.text, button);
  }

  resize(change) {
    this.size = Math.min(SIZES - 1, Math.max(0, this.size + change));
    this.find("scroller").dataset.size = String(this.size);
  }

  toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.find("captions-card").requestFullscreen?.();
  }
}
