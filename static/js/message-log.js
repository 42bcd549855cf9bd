/** What went over a socket, newest last, bounded. Pure: message-list.js shows it. */

/** Older messages are let go. */
export const MAX_ENTRIES = 500;

const encoder = new TextEncoder();
const QUIET = new Set(["audio", "audio_ack"]);

/**
 * An entry: {id, direction, atMs, name, bytes, count, text}. name: the message's `type` or `event`, "audio" of binary
 * ones, "open" and "close" of a connection. text: the JSON as it was sent; "" of binary ones. count: messages of audio
 * that follow each other are one entry.
 */
export class MessageLog {
  constructor() {
    this.entries = [];
    this._nextId = 0;
    this._startedAt = null;
  }

  /** message: what tapped-socket.js tells. at: a clock's ms. Returns {entry, isNew, dropped}; dropped: an entry or null. */
  add({ direction, data = "", name = "", text = "" }, at) {
    this._startedAt ??= at;
    const isBinary = typeof data !== "string";
    const last = this.entries.at(-1);
    if (isBinary && last?.isBinary && last.direction === direction) {
      last.count += 1;
      last.bytes += data.byteLength;
      return { entry: last, isNew: false, dropped: null };
    }
    const shown = isBinary ? "" : text || data;
    const bytes = isBinary ? data.byteLength : encoder.encode(data).byteLength;
    const entry = { id: this._nextId, direction, atMs: at - this._startedAt, bytes, count: 1, text: shown, isBinary };
    entry.name = isBinary ? "audio" : name || nameOf(data);
    this._nextId += 1;
    this.entries.push(entry);
    const dropped = this.entries.length > MAX_ENTRIES ? this.entries.shift() : null;
    return { entry, isNew: true, dropped };
  }

  clear() {
    this.entries = [];
    this._startedAt = null;
  }

  /** Everything that matches, a line each, to be copied. */
  toText(filter) {
    const marks = { sent: ">", received: "<", note: "#" };
    return this.entries
      .filter((entry) => matches(entry, filter))
      .map((entry) => `${(entry.atMs / 1000).toFixed(3)} ${marks[entry.direction]} ${lineOf(entry)}`)
      .join("\n");
  }
}

/** kind: "all", "quiet" (without audio and acknowledgements), "sent" or "received". text: to be found in the message. */
export function matches(entry, { kind, text }) {
  if (kind === "quiet" && QUIET.has(entry.name)) return false;
  if ((kind === "sent" || kind === "received") && entry.direction !== kind) return false;
  const wanted = text.trim().toLowerCase();
  return !wanted || entry.name.includes(wanted) || entry.text.toLowerCase().includes(wanted);
}

/** One line of it. */
export function lineOf(entry) {
  if (entry.isBinary) return `(${entry.count} × binary)`;
  return entry.direction === "note" ? `(${entry.name} ${entry.text})` : entry.text;
}

/** Its JSON over several lines; what is none, as it is. */
export function prettyOf(entry) {
  try {
    return JSON.stringify(JSON.parse(entry.text), null, 2);
  } catch {
    return entry.text;
  }
}

function nameOf(data) {
  try {
    const message = JSON.parse(data);
    return String(message.event ?? message.type ?? "?");
  } catch {
    return "?";
  }
}
