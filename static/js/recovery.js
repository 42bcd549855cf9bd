/** What this browser keeps of recordings: a journal of the one that runs, and an offer to recover one left behind. */

import { bytesToMs } from "./pcm.js";
import { RecordingJournal, newRecording } from "./recording-journal.js";
import { RecordingStore } from "./recording-store.js";
import { RecoveryCard } from "./recovery-card.js";

export class Recovery {
  /**
   * owner: who is logged in. onOffer(text): a recording is offered. onRecover(left): the person wants it; left is
   * {recording, held, lengthMs}. Without a store in this browser nothing of this ever happens.
   */
  constructor(element, { owner, onOffer, onRecover }) {
    this.owner = owner;
    this.onOffer = onOffer;
    this.store = null;
    this.journal = null;
    this.isAway = false; // something runs: nothing is offered
    this.card = new RecoveryCard(element, { onRecover, onDiscard: (left) => this._discard(left) });
  }

  async connect() {
    this.store = await RecordingStore.open();
    window.addEventListener("pagehide", () => this.journal?.flush());
    await this.offer();
  }

  /** The journal of a new recording, or null. */
  begin(socket, { sessionId, config, title }) {
    if (!this.store) return null;
    const recording = newRecording({ sessionId, owner: this.owner, config, title, startedAt: Date.now() });
    return this._follow(socket, new RecordingJournal(this.store, recording));
  }

  /** Go on with the journal of one that was left behind. */
  continue(socket, { recording, held }) {
    return this._follow(socket, this.journal ?? new RecordingJournal(this.store, recording, held.endBytes));
  }

  /** The recording ended. isDone: nothing of it is needed any more. */
  async finish(isDone) {
    const journal = this.journal;
    this.journal = null;
    if (isDone) await journal?.discard();
    else await journal?.release();
    await this.offer();
  }

  async offer() {
    try {
      const [recording] = (await this.store?.leftBehind(this.owner)) ?? [];
      if (!recording || this.isAway) return;
      const held = await this.store.audio(recording);
      this.onOffer(this.card.show({ recording, held, lengthMs: bytesToMs(held.endBytes) }));
    } catch {
      // A store that fails is as none.
    }
  }

  setAway(isAway) {
    this.isAway = isAway;
    if (isAway) this.card.hide();
  }

  _follow(socket, journal) {
    this.journal = journal;
    journal.follow(socket);
    return journal;
  }

  async _discard({ recording }) {
    await this.store.remove(recording.id).catch(() => {});
    await this.offer();
  }
}
