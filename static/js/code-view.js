/** The tab "Code": one program at a time, filled in, with a button that copies it. */

import { fillIn } from "./api-code.js";
import { copyText } from "./clipboard.js";
import { coloured } from "./code-colours.js";
import { recall, remember } from "./storage.js";
import { Tabs } from "./tabs.js";

const KEY = "api-code";

export class CodeView {
  /** find: elements of the page by their data name. examples: the programs. values: returns what is filled in. */
  constructor(find, { examples, values, announcer }) {
    Object.assign(this, { find, examples, values, announcer });
    this.tabs = new Tabs(find("code-tabs"), (tab) => this.show(tab.dataset.example));
  }

  connect() {
    this.tabs.connect();
    const button = this.find("code-copy");
    button.addEventListener("click", () => copyText(this.text, button, this.announcer));
    const { example } = recall(KEY, {});
    this.tabs.select(this.tabs.tabs.find((tab) => tab.dataset.example === example) ?? this.tabs.selected);
  }

  get example() {
    return this.examples.find(({ name }) => name === this.tabs.selected.dataset.example);
  }

  show(name) {
    remember(KEY, { example: name });
    this.render();
  }

  render() {
    const { example } = this;
    this.text = fillIn(example, this.values());
    this.find("code-file").textContent = example.file;
    this.find("code-run").textContent = example.run;
    this.find("code").replaceChildren(...coloured(this.text, example.kind).map(partOf));
  }
}

function partOf({ kind, text }) {
  if (!kind) return text;
  const span = document.createElement("span");
  span.className = `code-${kind}`;
  span.textContent = text;
  return span;
}
