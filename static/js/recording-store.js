/**
 * Recordings that are kept in this browser until the service has confirmed their end, so that a reload or a crash loses
 * nothing: who and what, and the audio that is not settled yet. In IndexedDB; a Web Lock tells the recordings of pages
 * that are still open from those that were left behind. Where a browser has either not, `open` gives null.
 *
 * A recording: {id, owner, sessionId, hasStarted, resumeToken, config, title, startedAt, basisBytes, safeBytes}. Positions
 * count from the first byte of the recording; `basisBytes` is where its session begins, 0 but for one that had to be
 * continued in a new session. hasStarted: the service has a session of it.
 */

const DATABASE = "speech-recordings";
const VERSION = 1;
/** Recordings that nobody recovers give way to newer ones, and to time. */
export const MAX_RECORDINGS = 3;
export const MAX_AGE_MS = 7 * 24 * 3600 * 1000;
/** A page that is being reloaded lets go of its lock a moment after the new page has begun. */
export const RELOAD_MS = 2000;

const lockName = (id) => `speech-recording:${id}`;

export class RecordingStore {
  static async open(browser = {}) {
    try {
      // Reading these may throw, where a page is sandboxed or storage is blocked.
      const own = { indexedDB: globalThis.indexedDB, IDBKeyRange: globalThis.IDBKeyRange, locks: globalThis.navigator?.locks };
      const { indexedDB, IDBKeyRange, locks } = { ...own, ...browser };
      if (!indexedDB || !locks) return null;
      return new RecordingStore(await openDatabase(indexedDB), IDBKeyRange, locks);
    } catch {
      return null;
    }
  }

  constructor(database, KeyRange, locks) {
    this._database = database;
    this._KeyRange = KeyRange;
    this._locks = locks;
  }

  /** Mark a recording as being this page's. Returns the function that lets go of it. */
  claim(id) {
    return new Promise((resolve) => {
      this._locks.request(lockName(id), () => new Promise((release) => resolve(release))).catch(() => resolve(() => {}));
    });
  }

  /** Recordings of `owner` that no open page holds, newest first. Those past their age are removed. */
  async leftBehind(owner, nowMs = Date.now()) {
    const found = [];
    for (const recording of await this._all()) {
      if (nowMs - recording.startedAt > MAX_AGE_MS) await this.remove(recording.id);
      else if (recording.owner === owner && (await this._isLeft(recording.id))) found.push(recording);
    }
    return found.sort((a, b) => b.startedAt - a.startedAt);
  }

  /** Begin to keep a recording; the oldest others give way. */
  async add(recording) {
    await this.update(recording);
    const all = (await this._all()).sort((a, b) => b.startedAt - a.startedAt);
    for (const { id } of all.slice(MAX_RECORDINGS)) {
      if (id !== recording.id && (await this._isLeft(id))) await this.remove(id);
    }
  }

  /** Writes are begun at once, in the order of the calls, also while the page is going away. */
  update(recording) {
    return this._write(({ recordings }) => recordings.put(recording));
  }

  addAudio(id, endBytes, bytes) {
    return this._write(({ audio }) => audio.put({ id, endBytes, bytes }));
  }

  /** Forget what is settled; a piece that is settled in part is kept whole. */
  settle(recording) {
    return this._write(({ recordings, audio }) => {
      recordings.put(recording);
      audio.delete(this._KeyRange.bound([recording.id, 0], [recording.id, recording.safeBytes]));
    });
  }

  remove(id) {
    return this._write(({ recordings, audio }) => {
      recordings.delete(id);
      audio.delete(this._rangeOf(id));
    });
  }

  /** What is held: {startBytes, pieces, endBytes}. Pieces after a hole are of no use and left out. */
  async audio({ id, safeBytes }) {
    const rows = await done(this._transaction("readonly").audio.getAll(this._rangeOf(id)));
    const startBytes = rows.length ? rows[0].endBytes - rows[0].bytes.byteLength : safeBytes;
    const pieces = [];
    let endBytes = startBytes;
    for (const row of rows) {
      if (row.endBytes - row.bytes.byteLength !== endBytes) break;
      pieces.push(row.bytes);
      endBytes = row.endBytes;
    }
    return { startBytes, pieces, endBytes };
  }

  _all() {
    return done(this._transaction("readonly").recordings.getAll());
  }

  async _isLeft(id) {
    const options = { signal: AbortSignal.timeout(RELOAD_MS) };
    return this._locks.request(lockName(id), options, () => true).catch(() => false);
  }

  _rangeOf(id) {
    return this._KeyRange.bound([id, 0], [id, Infinity]);
  }

  _transaction(mode) {
    const transaction = this._database.transaction(["recordings", "audio"], mode, { durability: "relaxed" });
    return { transaction, recordings: transaction.objectStore("recordings"), audio: transaction.objectStore("audio") };
  }

  async _write(change) {
    const { transaction, ...stores } = this._transaction("readwrite");
    const complete = new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
    });
    change(stores);
    transaction.commit(); // not left to the page, which may be gone by then
    return complete;
  }
}

function openDatabase(indexedDB) {
  const request = indexedDB.open(DATABASE, VERSION);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("recordings", { keyPath: "id" });
    request.result.createObjectStore("audio", { keyPath: ["id", "endBytes"] });
  };
  return done(request);
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
