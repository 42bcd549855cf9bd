/** What was done on this page, and how to undo and redo it. */

export const MAX_STEPS = 200;

export class UndoStack {
  /** onChange: called when what can be undone or redone changed. */
  constructor(onChange = () => {}) {
    this.done = [];
    this.undone = [];
    this.onChange = onChange;
    this._isBusy = false;
  }

  /** step: {name, undo, redo}, functions that return promises; what they return false for could not be done. */
  push(step) {
    this.done.push(step);
    if (this.done.length > MAX_STEPS) this.done.shift();
    this.undone = [];
    this.onChange();
  }

  get canUndo() {
    return this.done.length > 0;
  }

  get canRedo() {
    return this.undone.length > 0;
  }

  /** The step that was undone, or null. */
  undo() {
    return this._move(this.done, this.undone, "undo");
  }

  redo() {
    return this._move(this.undone, this.done, "redo");
  }

  /** One at a time: the next step rests on what this one leaves. */
  async _move(from, to, verb) {
    if (this._isBusy || !from.length) return null;
    this._isBusy = true;
    const step = from.pop();
    try {
      if ((await step[verb]()) === false) return null;
      to.push(step);
      return step;
    } finally {
      this._isBusy = false;
      this.onChange();
    }
  }
}
